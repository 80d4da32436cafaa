import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { toHalfBytes } from "../bits/float-bytes.js";
import { packBits, wordsFor } from "../bits/pack-bits.js";
import { type CheckpointFormat, CODES, GROUP_INDEX, SCALES, type WeightPart, ZERO_POINTS } from "./layout.js";

/**
 * The bytes of one stored tensor of `weight`, little-endian, as `partsOf` describes it.
 * `weight` must be sound (`assertSound`) and one that the format holds (`assertHolds`).
 */
export function encodePart(weight: QuantizedWeight, version: CheckpointFormat, part: WeightPart): Uint8Array {
  switch (part) {
    case CODES:
      return packCodes(weight);
    case ZERO_POINTS:
      return packZeroPoints(weight, version);
    case SCALES:
      return toHalfBytes(transposed(weight.scales, weight.rows));
    case GROUP_INDEX:
      return new Uint8Array(
        Int32Array.from({ length: weight.columns }, (_, i) => Math.floor(i / weight.groupSize)).buffer,
      );
  }
}

function packCodes({ codes, rows, columns, bits }: QuantizedWeight): Uint8Array {
  const words = new Int32Array(wordsFor(columns, bits) * rows);
  for (let row = 0; row < rows; row++) {
    packBits(codes, { start: row * columns, stride: 1 }, columns, bits, words, { start: row, stride: rows });
  }
  return new Uint8Array(words.buffer);
}

function packZeroPoints(
  { zeroPoints, rows, columns, groupSize, bits }: QuantizedWeight,
  version: CheckpointFormat,
): Uint8Array {
  const groups = columns / groupSize;
  const width = wordsFor(rows, bits);
  const mask = 2 ** bits - 1;
  // Field by field: subtracting 1 from whole words would borrow across fields.
  const fields = version === "gptq" ? zeroPoints.map((zero) => (zero - 1) & mask) : zeroPoints;
  const words = new Int32Array(groups * width);
  for (let group = 0; group < groups; group++) {
    packBits(fields, { start: group, stride: groups }, rows, bits, words, { start: group * width, stride: 1 });
  }
  return new Uint8Array(words.buffer);
}

/** `[rows, groups]` to `[groups, rows]`. */
function transposed(scales: Float32Array, rows: number): Float32Array {
  const groups = scales.length / rows;
  return new Float32Array(scales.length).map((_, i) => scales[(i % rows) * groups + Math.floor(i / rows)] ?? 0);
}
