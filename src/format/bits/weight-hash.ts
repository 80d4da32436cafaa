import { createHash } from "node:crypto";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { toEnd } from "./to-end.js";

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

/** As `weightHash`; yields between pieces. */
export function hashingWeight(weight: QuantizedWeight): Generator<void, WeightHash> {
  const { rows, columns, scales } = weight;
  return hashing({ rows, columns, scales, row: signedRows(weight) });
}

/** Rows of `code - zeroPoint` where `groupSize` columns, or what is left of a row, share a zero point. */
export function signedRows({
  columns,
  groupSize,
  codes,
  zeroPoints,
}: Pick<QuantizedWeight, "columns" | "groupSize" | "codes" | "zeroPoints">): SignedWeight["row"] {
  const groups = Math.ceil(columns / groupSize);
  // Four codes in two words where everything is a multiple of four and lies so: the hash takes three fifths of the time.
  const quads =
    groupSize % 4 === 0 && columns % 4 === 0 && codes.byteOffset % 4 === 0 && codes.byteLength % 4 === 0
      ? new Uint32Array(codes.buffer, codes.byteOffset, codes.byteLength / 4)
      : null;
  return (row, into) => {
    const pairs =
      quads !== null && into.byteOffset % 4 === 0 ? new Uint32Array(into.buffer, into.byteOffset, columns / 2) : null;
    // Group by group: a division for every code would take as long as its hash.
    for (let group = 0; group < groups; group++) {
      const zeroPoint = zeroPoints[row * groups + group] ?? 0;
      const end = Math.min(columns, (group + 1) * groupSize);
      if (quads !== null && pairs !== null) {
        subtractQuads(
          quads,
          (row * columns + group * groupSize) / 4,
          zeroPoint,
          pairs,
          (group * groupSize) / 2,
          end / 2,
        );
        continue;
      }
      for (let column = group * groupSize; column < end; column++) {
        into[column] = (codes[row * columns + column] ?? 0) - zeroPoint;
      }
    }
  };
}

// Two int16 in a word: bit 15 of each lane is set before the subtraction, so that none borrows from the other, and
// flipped after it.
function subtractQuads(
  quads: Uint32Array,
  source: number,
  zeroPoint: number,
  pairs: Uint32Array,
  first: number,
  end: number,
): void {
  const zeros = zeroPoint * 0x00010001;
  for (let i = first, from = source; i < end; i += 2, from++) {
    const quad = quads[from] as number;
    const low = (quad & 0xff) | ((quad & 0xff00) << 8);
    const high = ((quad >>> 16) & 0xff) | ((quad >>> 8) & 0x00ff0000);
    pairs[i] = ((low | 0x80008000) - zeros) ^ 0x80008000;
    pairs[i + 1] = ((high | 0x80008000) - zeros) ^ 0x80008000;
  }
}

export function signedWeightHash(weight: SignedWeight): WeightHash {
  return toEnd(hashing(weight));
}

/** Codes that are hashed between two yields: a hundredth of a second. */
const PIECE = 2 ** 22;

function* hashing({ rows, columns, row, scales }: SignedWeight): Generator<void, WeightHash> {
  const codes = createHash("sha256").update(`${rows} ${columns}\n`);
  const values = new Int16Array(columns);
  const step = Math.max(1, Math.floor(PIECE / columns));
  for (let r = 0; r < rows; r++) {
    if (r > 0 && r % step === 0) yield;
    row(r, values);
    codes.update(values);
  }
  return { codes: codes.digest("hex"), scales: scalesHash(scales, rows) };
}

/** SHA-256 of the scales `[rows, groups]` of a weight, in hexadecimal. */
export function scalesHash(scales: Float32Array, rows: number): string {
  return createHash("sha256")
    .update(`${rows} ${scales.length / rows}\n`)
    .update(scales)
    .digest("hex");
}

/** SHA-256 of a tensor's bytes, in hexadecimal. */
export function bytesHash(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
