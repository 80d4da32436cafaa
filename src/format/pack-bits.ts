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
  const quick = from.stride === 1 && 8 % bits === 0 && begin % 4 === 0;
  const whole = quick ? Math.floor((count * bits) / 32) : 0;
  if (quick) packQuads(new Uint32Array(codes.buffer, begin, (whole * 8) / bits), bits, words, to);
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

// Whole words of neighbouring codes of 1, 2, 4 or 8 bits, which come four to a word: twice as fast as code by code.
function packQuads(quads: Uint32Array, bits: number, words: Int32Array | Uint32Array, to: Lane): void {
  const mask = (1 << bits) - 1;
  let target = to.start;
  for (let quad = 0; quad < quads.length; target += to.stride) {
    let word = 0;
    for (let shift = 0; shift < 32; shift += 4 * bits) {
      const x = quads[quad++] as number;
      const low = (x & mask) | ((x >>> (8 - bits)) & (mask << bits));
      const high = ((x >>> (16 - 2 * bits)) & (mask << (2 * bits))) | ((x >>> (24 - 3 * bits)) & (mask << (3 * bits)));
      word |= (low | high) << shift;
    }
    words[target] = word;
  }
}
