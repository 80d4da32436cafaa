import { createHash } from "node:crypto";
import { CalibrationError } from "../errors.js";
import { randomOrder } from "./seeded-random.js";

/** Pieces of text of equal length, row by row. */
export interface TokenSequences {
  /** `[sequences, context]`. */
  readonly ids: Int32Array;
  readonly sequences: number;
  /** Tokens per sequence. */
  readonly context: number;
  /** Bytes `[sequences, context]`, 1 for tokens of an answer, 0 for those of what it answers; left out where all tokens are alike. */
  readonly answers?: Uint8Array | undefined;
}

export interface SampleOptions {
  /** Sequences to choose. */
  readonly samples: number;
  /** Tokens per sequence. */
  readonly context: number;
  /** Which ones; see {@link SeededRandom}. */
  readonly seed: number;
  /** Id with which every sequence begins, in place of its own first token; by default they begin with what the text has there. */
  readonly start?: number | null;
}

/**
 * Cuts the tokens into sequences that do not overlap, drops the rest, and chooses some of them in a random order that
 * the seed decides. The first n sequences are the same for every larger `samples`.
 *
 * @param answers which tokens are those of answers, where that matters
 * @throws CalibrationError when there are fewer sequences than samples.
 */
export function sampleSequences(
  tokens: Int32Array,
  { samples, context, seed, start = null }: SampleOptions,
  answers?: Uint8Array,
): TokenSequences {
  const available = Math.floor(tokens.length / context);
  if (available < samples) throw tooFew(tokens.length, samples, context);
  const ids = new Int32Array(samples * context);
  const marks = answers === undefined ? undefined : new Uint8Array(samples * context);
  randomOrder(available, samples, seed).forEach((sequence, row) => {
    const [from, to] = [sequence * context, (sequence + 1) * context];
    ids.set(tokens.subarray(from, to), row * context);
    if (answers !== undefined) marks?.set(answers.subarray(from, to), row * context);
  });
  beginWith(start, ids, context);
  return { ids, sequences: samples, context, ...(marks !== undefined && { answers: marks }) };
}

/**
 * All sequences of a text in their order, not overlapping, the rest dropped.
 *
 * @param start id with which every sequence begins, in place of its own first token
 * @throws CalibrationError when the text is shorter than one sequence.
 */
export function evaluationSequences(tokens: Int32Array, context: number, start: number | null = null): TokenSequences {
  const sequences = Math.floor(tokens.length / context);
  if (sequences === 0) throw tooFew(tokens.length, 1, context);
  const ids = tokens.slice(0, sequences * context);
  beginWith(start, ids, context);
  return { ids, sequences, context };
}

/** Puts a start token, where there is one, in place of the first token of every sequence, as llama.cpp does. */
export function beginWith(start: number | null, ids: Int32Array, context: number): void {
  if (start === null) return;
  for (let at = 0; at < ids.length; at += context) ids[at] = start;
}

/** What decided a choice of sequences, beside the tokens: tokenizer hash, samples, context, seed. */
export type SequenceParameters = Readonly<Record<string, string | number>>;

/**
 * SHA-256, in hexadecimal, of the token ids and of the parameters that led to them: two runs with the same value were
 * calibrated on the same tokens in the same order.
 */
export function sequencesFingerprint(text: TokenSequences, parameters: SequenceParameters = {}): string {
  const { ids, sequences, context, answers } = text;
  const settings = Object.entries({ ...parameters, sequences, context }).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256")
    .update(`${JSON.stringify(settings)}\n`)
    .update(new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength))
    .update(answers ?? "")
    .digest("hex");
}

/** Tokens of a sequence below which a shorter one is no way out while there are several. */
const SHORTEST = 32;

function tooFew(tokens: number, samples: number, context: number): CalibrationError {
  const needed = samples * context;
  const wanted = samples === 1 ? "one sequence takes" : `${samples} sequences of ${context} take`;
  const fewer = Math.floor(tokens / context);
  const shorter = Math.floor(tokens / samples);
  const useful = shorter >= (samples === 1 ? 2 : SHORTEST);
  // Neither alone is enough: fewer sequences that are shorter, too.
  const both = Math.min(tokens, SHORTEST);
  const ways = [
    `give at least ${needed - tokens} tokens more of text`,
    ...(fewer > 0 ? [`use --samples ${fewer}`] : []),
    ...(useful ? [`use --context ${shorter}`] : []),
    ...(samples > 1 && fewer === 0 && !useful && tokens >= 2
      ? [`use --samples ${Math.floor(tokens / both)} --context ${both}`]
      : []),
  ];
  return new CalibrationError({
    what: `the text has ${tokens} tokens, and ${wanted} ${needed}`,
    next: ways.join(", or "),
  });
}
