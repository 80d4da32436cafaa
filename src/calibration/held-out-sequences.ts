import { randomOrder } from "./seeded-random.js";
import { beginWith, type SampleOptions, type TokenSequences } from "./token-sequences.js";

/** Most sequences to hold out, and most tokens of each. */
export interface HeldOutSize {
  readonly sequences: number;
  readonly context: number;
}

/** Fewer tokens than this in a row say little: nearly every one of them is predicted without context. */
const LEAST_CONTEXT = 64;

/** Added to the seed of the sample, so that the two orders have nothing to do with each other. */
const OTHER_SEED = 0x68656c64;

/**
 * Sequences of a text of which `sampleSequences` with the same options has no token: cut from the places between those that it
 * chooses, in a random order of their own. Which ones it chooses does not depend on this.
 *
 * @returns null where no place is long enough
 */
export function heldOutSequences(
  tokens: Int32Array,
  { samples, context, seed, start = null }: SampleOptions,
  size: HeldOutSize,
): TokenSequences | null {
  const gaps = gapsBetween(tokens.length, context, randomOrder(Math.floor(tokens.length / context), samples, seed));
  const longest = gaps.reduce((most, [from, to]) => Math.max(most, to - from), 0);
  const length = Math.min(size.context, longest);
  if (length < LEAST_CONTEXT) return null;
  const places = gaps.flatMap(([from, to]) =>
    Array.from({ length: Math.floor((to - from) / length) }, (_, i) => from + i * length),
  );
  const chosen = Math.min(size.sequences, places.length);
  const ids = new Int32Array(chosen * length);
  randomOrder(places.length, chosen, seed + OTHER_SEED).forEach((place, row) => {
    const from = places[place] ?? 0;
    ids.set(tokens.subarray(from, from + length), row * length);
  });
  beginWith(start, ids, length);
  return { ids, sequences: chosen, context: length };
}

function gapsBetween(tokens: number, context: number, chosen: Uint32Array): (readonly [from: number, to: number])[] {
  const gaps: (readonly [number, number])[] = [];
  let from = 0;
  for (const sequence of chosen.slice().sort()) {
    if (sequence * context > from) gaps.push([from, sequence * context]);
    from = (sequence + 1) * context;
  }
  if (tokens > from) gaps.push([from, tokens]);
  return gaps;
}
