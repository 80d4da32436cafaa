import { createHash } from "node:crypto";
import type { QuantizedWeight } from "../quant/quantized-weight.js";

/** SHA-256, in hexadecimal, of what a quantized weight means, whatever format holds it. */
export interface WeightHash {
  /** Of `code - zeroPoint`, int16 little-endian, row after row. */
  readonly codes: string;
  /** Of the fp32 scales, little-endian, `[rows, groups]`. */
  readonly scales: string;
}

/**
 * A weight as `scale * code`, where the zero point is subtracted from the code already: what all formats have in common,
 * since some of them store that difference and no zero point.
 */
export interface SignedWeight {
  readonly rows: number;
  readonly columns: number;
  /** Writes `code - zeroPoint` of one row. */
  readonly row: (row: number, into: Int16Array) => void;
  /** `[rows, groups]` */
  readonly scales: Float32Array;
}

/** The hashes that a result records and that every export must give again. */
export function weightHash(weight: QuantizedWeight): WeightHash {
  const { rows, columns, scales } = weight;
  return signedWeightHash({ rows, columns, scales, row: signedRows(weight) });
}

/** Rows of `code - zeroPoint` where `groupSize` columns, or what is left of a row, share a zero point. */
export function signedRows({
  columns,
  groupSize,
  codes,
  zeroPoints,
}: Pick<QuantizedWeight, "columns" | "groupSize" | "codes" | "zeroPoints">): SignedWeight["row"] {
  const groups = Math.ceil(columns / groupSize);
  return (row, into) => {
    // Group by group: a division for every code would take as long as its hash.
    for (let group = 0; group < groups; group++) {
      const zeroPoint = zeroPoints[row * groups + group] ?? 0;
      const end = Math.min(columns, (group + 1) * groupSize);
      for (let column = group * groupSize; column < end; column++) {
        into[column] = (codes[row * columns + column] ?? 0) - zeroPoint;
      }
    }
  };
}

export function signedWeightHash({ rows, columns, row, scales }: SignedWeight): WeightHash {
  const codes = createHash("sha256").update(`${rows} ${columns}\n`);
  const values = new Int16Array(columns);
  for (let r = 0; r < rows; r++) {
    row(r, values);
    codes.update(values);
  }
  const scaleHash = createHash("sha256")
    .update(`${rows} ${scales.length / rows}\n`)
    .update(scales);
  return { codes: codes.digest("hex"), scales: scaleHash.digest("hex") };
}

/** SHA-256 of a tensor's bytes, in hexadecimal. */
export function bytesHash(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
