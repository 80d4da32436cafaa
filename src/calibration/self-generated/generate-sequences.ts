import { SeededRandom } from "../seeded-random.js";
import type { SequenceSampler } from "./sequence-sampler.js";

/** How sequences of a model's own text come about. */
export interface SequenceGeneration {
  /** Tokens per sequence, the start token included. */
  readonly context: number;
  readonly seed: number;
  /** What logits are divided by. */
  readonly temperature: number;
  /** Tokens behind the first that are the likeliest ones. */
  readonly greedy: number;
  /** Ids that a first token is drawn from, all alike; null lets the model draw it behind the start token. */
  readonly firstTokens: Int32Array | null;
  /** What every document begins with; null for a model that has no such token. */
  readonly startToken: number | null;
  /** What ends a document. */
  readonly endTokens: ReadonlySet<number>;
}

/**
 * Writes sequences that a model makes up: a random first token, then the likeliest tokens, then tokens drawn from the
 * model's distribution. Where it ends a document another one begins, as in text that was packed. Each sequence has random
 * numbers of its own, so it does not depend on how many there are, nor, but for the rounding of logits, on which are made
 * together.
 * Source: Norm Tweaking (arXiv 2309.02784), after the data-free distillation of LLM-QAT (arXiv 2305.17888).
 *
 * @param rows numbers of the sequences, from 0
 * @param onToken called after every token of each, with how many there are; may throw to stop
 * @returns ids `[rows, context]`
 */
export function generateSequences(
  sampler: SequenceSampler,
  rows: readonly number[],
  { context, seed, temperature, greedy, firstTokens, startToken, endTokens }: SequenceGeneration,
  onToken: (done: number) => void = () => {},
): Int32Array {
  const streams = rows.map((row) => new SeededRandom(seedOf(seed, row)));
  const firsts = firstTokens && streams.map((random) => firstTokens[random.below(firstTokens.length)] ?? 0);
  const ids = new Int32Array(rows.length * context);
  const put = (at: number, tokens: ArrayLike<number>): void => {
    for (let i = 0; i < rows.length; i++) ids[i * context + at] = tokens[i] ?? 0;
  };
  // The start token and the first one.
  const given = [startToken === null ? null : rows.map(() => startToken), firsts].filter((tokens) => tokens !== null);
  const [begin] = given;
  if (begin === undefined) throw new TypeError("a sequence begins with a start token or a first one");
  using sequences = sampler.begin(rows.length);
  put(0, begin);
  for (let at = 1; at < context; at++) {
    onToken(at);
    const before = Int32Array.from(rows, (_, i) => ids[i * context + at - 1] ?? 0);
    const places = at < given.length + greedy ? null : Float64Array.from(streams, uniform);
    const tokens = sequences.next(before, places === null ? null : { temperature, places });
    put(at, given[at] ?? tokens.map((token, i) => behind(before[i] ?? 0, token)));
  }
  onToken(context);
  return ids;

  // Behind the end of a document a start token comes, unless one token is both.
  function behind(before: number, token: number): number {
    return startToken !== null && before !== startToken && endTokens.has(before) ? startToken : token;
  }
}

// Of 53 bits, and another for every row of every seed.
function seedOf(seed: number, row: number): number {
  const random = new SeededRandom(seed);
  let mixed = 0;
  for (let i = 0; i <= row; i++) mixed = random.uint32() * 2 ** 21 + (random.uint32() >>> 11);
  return mixed;
}

function uniform(random: SeededRandom): number {
  return (random.uint32() + 0.5) / 2 ** 32;
}
