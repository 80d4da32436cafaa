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
  const begin = codes.byteOffset + to.start;
  const unpacker = to.stride === 1 && begin % 4 === 0 ? UNPACKERS[bits] : undefined;
  const whole = unpacker === undefined ? 0 : Math.floor((count * bits) / 32);
  unpacker?.(words, from, new Uint32Array(codes.buffer, begin, (whole * 8) / bits));
  const mask = (1 << bits) - 1;
  let target = to.start + ((whole * 32) / bits) * to.stride;
  for (let bit = whole * 32; bit < count * bits; bit += bits, target += to.stride) {
    const at = start + (bit >>> 5) * stride;
    const shift = bit & 31;
    let code = (words[at] as number) >>> shift;
    if (shift + bits > 32) code |= (words[at + stride] as number) << (32 - shift);
    codes[target] = code & mask;
  }
}

/** Reads neighbouring codes, four to an element of `quads`, from whole words. */
type QuadUnpacker = (words: Int32Array | Uint32Array, from: Lane, quads: Uint32Array) => void;

// Widths whose codes never straddle two words: an eighth of the time of code by code.
const UNPACKERS: Readonly<Partial<Record<number, QuadUnpacker>>> = {
  2: (words, { start, stride }, quads) => {
    for (let i = 0, at = start; i < quads.length; at += stride) {
      const word = words[at] as number;
      for (let shift = 0; shift < 32; shift += 8, i++) {
        const field = (word >>> shift) & 0xff;
        const pairs = (field | (field << 12)) & 0x000f000f;
        quads[i] = (pairs | (pairs << 6)) & 0x03030303;
      }
    }
  },
  4: (words, { start, stride }, quads) => {
    for (let i = 0, at = start; i < quads.length; i += 2, at += stride) {
      const word = words[at] as number;
      const low = ((word & 0xffff) | (word << 8)) & 0x00ff00ff;
      const high = ((word >>> 16) | ((word >>> 16) << 8)) & 0x00ff00ff;
      quads[i] = (low | (low << 4)) & 0x0f0f0f0f;
      quads[i + 1] = (high | (high << 4)) & 0x0f0f0f0f;
    }
  },
  8: (words, { start, stride }, quads) => {
    for (let i = 0, at = start; i < quads.length; i++, at += stride) quads[i] = words[at] as number;
  },
};
