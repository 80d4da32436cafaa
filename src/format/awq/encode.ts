import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { toHalfBytes } from "../bits/float-bytes.js";
import { CODES, NIBBLE_ORDER, PACKED, SCALES, type WeightPart, ZERO_POINTS } from "./layout.js";

/**
 * The bytes of one stored tensor of `weight`, little-endian, as `partsOf` describes it.
 * `weight` must be sound (`assertSound`) and one that the format holds (`assertHolds`).
 */
export function encodePart(weight: QuantizedWeight, part: WeightPart): Uint8Array {
  const { codes, zeroPoints, scales, rows, columns, groupSize } = weight;
  switch (part) {
    case CODES:
      return packed(codes, rows, columns);
    case ZERO_POINTS:
      return packed(zeroPoints, rows, columns / groupSize);
    case SCALES:
      return toHalfBytes(transposed(scales, rows));
  }
}

/** `[rows, columns]` to words `[columns, rows / 8]`. */
function packed(values: Uint8Array, rows: number, columns: number): Uint8Array {
  const width = rows / PACKED;
  const words = new Int32Array(columns * width);
  for (let word = 0; word < width; word++) {
    for (const [nibble, output] of NIBBLE_ORDER.entries()) {
      const begin = (word * PACKED + output) * columns;
      const shift = 4 * nibble;
      for (let column = 0; column < columns; column++) {
        const at = column * width + word;
        words[at] = (words[at] as number) | ((values[begin + column] as number) << shift);
      }
    }
  }
  return new Uint8Array(words.buffer);
}

/** `[rows, groups]` to `[groups, rows]`. */
function transposed(scales: Float32Array, rows: number): Float32Array {
  const groups = scales.length / rows;
  return new Float32Array(scales.length).map((_, i) => scales[(i % rows) * groups + Math.floor(i / rows)] ?? 0);
}
