import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { packBits, wordsFor } from "./pack-bits.js";
import { viewInt32 } from "./typed-view.js";
import { unpackBits } from "./unpack-bits.js";

/** A quantized weight whose codes take their bits only. */
export interface PackedWeight extends Omit<QuantizedWeight, "codes"> {
  /** Int32 words, little-endian, `[rows, ceil(columns * bits / 32)]`: each row a dense stream (`packBits`). */
  readonly words: Uint8Array;
}

/** Codes that are packed at once: a hundredth of a second. */
const PIECE = 2 ** 24;

/** Packs each row's codes; yields between pieces. */
export function* packingRows({
  codes,
  rows,
  columns,
  bits,
}: Pick<QuantizedWeight, "codes" | "rows" | "columns" | "bits">): Generator<void, Uint8Array> {
  const width = wordsFor(columns, bits);
  const words = new Int32Array(rows * width);
  const step = Math.max(1, Math.floor(PIECE / columns));
  for (let row = 0; row < rows; row++) {
    if (row > 0 && row % step === 0) yield;
    packBits(codes, { start: row * columns, stride: 1 }, columns, bits, words, { start: row * width, stride: 1 });
  }
  return new Uint8Array(words.buffer);
}

/** The same weight, its codes a byte each; `words` must have the length that the layout asks for. */
export function unpackedWeight({ words, ...weight }: PackedWeight): QuantizedWeight {
  const { rows, columns, bits } = weight;
  const width = wordsFor(columns, bits);
  const from = viewInt32(words);
  const codes = new Uint8Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    unpackBits(from, { start: row * width, stride: 1 }, columns, bits, codes, { start: row * columns, stride: 1 });
  }
  return { ...weight, codes };
}
