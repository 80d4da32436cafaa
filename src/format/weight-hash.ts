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
  const { rows, columns, groupSize, codes, zeroPoints, scales } = weight;
  const groups = columns / groupSize;
  return signedWeightHash({
    rows,
    columns,
    scales,
    row(row, into) {
      for (let column = 0; column < columns; column++) {
        const group = row * groups + Math.floor(column / groupSize);
        into[column] = (codes[row * columns + column] ?? 0) - (zeroPoints[group] ?? 0);
      }
    },
  });
}

export function signedWeightHash({ rows, columns, row, scales }: SignedWeight): WeightHash {
  const codes = createHash("sha256").update(`${rows} ${columns}\n`);
  const bytes = new DataView(new ArrayBuffer(columns * 2));
  const values = new Int16Array(columns);
  for (let r = 0; r < rows; r++) {
    row(r, values);
    for (let column = 0; column < columns; column++) bytes.setInt16(column * 2, values[column] ?? 0, true);
    codes.update(bytes);
  }
  const scaleBytes = new DataView(new ArrayBuffer(scales.length * 4));
  for (let i = 0; i < scales.length; i++) scaleBytes.setFloat32(i * 4, scales[i] ?? Number.NaN, true);
  const scaleHash = createHash("sha256")
    .update(`${rows} ${scales.length / rows}\n`)
    .update(scaleBytes);
  return { codes: codes.digest("hex"), scales: scaleHash.digest("hex") };
}

/** SHA-256 of a tensor's bytes, in hexadecimal. */
export function bytesHash(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
