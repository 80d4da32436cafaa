/** A walk through an array: element i lies at `start + i * stride`. */
export interface Lane {
  readonly start: number;
  readonly stride: number;
}

/** 32-bit words that `count` codes of `bits` bits fill; the last one may be filled in part. */
export function wordsFor(count: number, bits: number): number {
  return Math.ceil((count * bits) / 32);
}

/**
 * Packs `count` codes into 32-bit words as one dense stream, least significant bit first: code i takes the bits from
 * `i * bits` on, and may straddle two words (3, 5, 6 and 7 bits). Unused bits of the last word are zero.
 * compressed-tensors and GPTQ use this stream, along different axes: hence the lanes.
 *
 * @param codes unsigned, below `2^bits`
 * @param bits 1 to 8
 */
export function packBits(
  codes: Uint8Array,
  from: Lane,
  count: number,
  bits: number,
  words: Int32Array | Uint32Array,
  to: Lane,
): void {
  const begin = codes.byteOffset + from.start;
  const packer = from.stride === 1 && begin % 4 === 0 ? PACKERS[bits] : undefined;
  const whole = packer === undefined ? 0 : Math.floor((count * bits) / 32);
  packer?.(new Uint32Array(codes.buffer, begin, (whole * 8) / bits), words, to);
  const done = (whole * 32) / bits;
  let source = from.start + done * from.stride;
  let target = to.start + whole * to.stride;
  let word = 0;
  let filled = 0;
  for (let i = done; i < count; i++, source += from.stride) {
    const code = codes[source] ?? 0;
    word |= code << filled;
    filled += bits;
    if (filled < 32) continue;
    words[target] = word;
    target += to.stride;
    filled -= 32;
    word = filled === 0 ? 0 : code >>> (bits - filled);
  }
  if (filled > 0) words[target] = word;
}

/** Packs neighbouring codes, which come four to an element of `quads`, into whole words. */
type QuadPacker = (quads: Uint32Array, words: Int32Array | Uint32Array, to: Lane) => void;

// Widths whose codes never straddle two words. With the shifts written out half the time of shifts by `bits`, and a
// quarter of code by code.
const PACKERS: Readonly<Partial<Record<number, QuadPacker>>> = {
  2: (quads, words, { start, stride }) => {
    for (let i = 0, target = start; i < quads.length; target += stride) {
      let word = 0;
      for (let shift = 0; shift < 32; shift += 8, i++) {
        const quad = quads[i] as number;
        const pairs = (quad | (quad >>> 6)) & 0x000f000f;
        word |= ((pairs | (pairs >>> 12)) & 0xff) << shift;
      }
      words[target] = word;
    }
  },
  4: (quads, words, { start, stride }) => {
    for (let i = 0, target = start; i < quads.length; i += 2, target += stride) {
      const [low, high] = [quads[i] as number, quads[i + 1] as number];
      const lowPairs = (low | (low >>> 4)) & 0x00ff00ff;
      const highPairs = (high | (high >>> 4)) & 0x00ff00ff;
      words[target] = ((lowPairs | (lowPairs >>> 8)) & 0xffff) | ((highPairs | (highPairs >>> 8)) << 16);
    }
  },
  8: (quads, words, { start, stride }) => {
    for (let i = 0, target = start; i < quads.length; i++, target += stride) words[target] = quads[i] as number;
  },
};
