import type { Lane } from "./pack-bits.js";

/**
 * Reads `count` codes of a dense stream, least significant bit first: bit b of the stream is bit `b mod 32` of word
 * `floor(b / 32)`, and code i is the bits from `i * bits` to `i * bits + bits - 1`.
 *
 * @param bits 1 to 8
 */
export function unpackBits(
  words: Int32Array | Uint32Array,
  from: Lane,
  count: number,
  bits: number,
  codes: Uint8Array,
  to: Lane,
): void {
  const mask = 2 ** bits - 1;
  for (let i = 0; i < count; i++) {
    const bit = i * bits;
    const index = Math.floor(bit / 32);
    const shift = bit % 32;
    const at = from.start + index * from.stride;
    let code = (words[at] ?? 0) >>> shift;
    if (shift + bits > 32) code |= (words[at + from.stride] ?? 0) << (32 - shift);
    codes[to.start + i * to.stride] = code & mask;
  }
}
