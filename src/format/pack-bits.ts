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
  let source = from.start;
  let target = to.start;
  let word = 0;
  let filled = 0;
  for (let i = 0; i < count; i++, source += from.stride) {
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
