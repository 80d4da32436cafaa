import type { Lane } from "./pack-bits.js";

/**
 * Reads `count` codes of a dense stream, least significant bit first: bit b of the stream is bit `b mod 32` of word
 * `floor(b / 32)`, and code i is the bits from `i * bits` to `i * bits + bits - 1`.
 *
 * @param bits 1 to 8
 * @param count with `count * bits` below 2^31; the lanes must lie inside their arrays
 */
export function unpackBits(
  words: Int32Array | Uint32Array,
  from: Lane,
  count: number,
  bits: number,
  codes: Uint8Array,
  to: Lane,
): void {
  const { start, stride } = from;
  const mask = (1 << bits) - 1;
  let target = to.start;
  for (let bit = 0; bit < count * bits; bit += bits, target += to.stride) {
    const at = start + (bit >>> 5) * stride;
    const shift = bit & 31;
    let code = (words[at] as number) >>> shift;
    if (shift + bits > 32) code |= (words[at + stride] as number) << (32 - shift);
    codes[target] = code & mask;
  }
}
