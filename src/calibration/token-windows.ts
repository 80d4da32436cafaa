import { createHash } from "node:crypto";
import { CalibrationError } from "../errors.js";
import { randomOrder } from "./seeded-random.js";

/** Pieces of text of equal length, row by row. */
export interface TokenWindows {
  /** `[sequences, context]`. */
  readonly ids: Int32Array;
  readonly sequences: number;
  /** Tokens per window. */
  readonly context: number;
}

export interface SampleOptions {
  /** Windows to choose. */
  readonly samples: number;
  /** Tokens per window. */
  readonly context: number;
  /** Which ones; see {@link SeededRandom}. */
  readonly seed: number;
}

/**
 * Cuts the tokens into windows that do not overlap, drops the rest, and chooses some of them in a random order that
 * the seed decides. The first n windows are the same for every larger `samples`.
 *
 * @throws CalibrationError when there are fewer windows than samples.
 */
export function sampleWindows(tokens: Int32Array, { samples, context, seed }: SampleOptions): TokenWindows {
  const available = Math.floor(tokens.length / context);
  if (available < samples) throw tooFew(tokens.length, samples, context);
  const ids = new Int32Array(samples * context);
  randomOrder(available, samples, seed).forEach((window, row) => {
    ids.set(tokens.subarray(window * context, (window + 1) * context), row * context);
  });
  return { ids, sequences: samples, context };
}

/**
 * All windows of a text in their order, not overlapping, the rest dropped. The ids are a view of `tokens`.
 *
 * @throws CalibrationError when the text is shorter than one window.
 */
export function evaluationWindows(tokens: Int32Array, context: number): TokenWindows {
  const sequences = Math.floor(tokens.length / context);
  if (sequences === 0) throw tooFew(tokens.length, 1, context);
  return { ids: tokens.subarray(0, sequences * context), sequences, context };
}

/** What decided a choice of windows, beside the tokens: tokenizer hash, samples, context, seed. */
export type WindowParameters = Readonly<Record<string, string | number>>;

/**
 * SHA-256, in hexadecimal, of the token ids and of the parameters that led to them: two runs with the same value were
 * calibrated on the same tokens in the same order.
 */
export function windowsFingerprint(windows: TokenWindows, parameters: WindowParameters = {}): string {
  const { ids, sequences, context } = windows;
  const settings = Object.entries({ ...parameters, sequences, context }).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256")
    .update(`${JSON.stringify(settings)}\n`)
    .update(new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength))
    .digest("hex");
}

function tooFew(tokens: number, samples: number, context: number): CalibrationError {
  const needed = samples * context;
  const wanted = samples === 1 ? "one window takes" : `${samples} windows of ${context} take`;
  const fewer = Math.floor(tokens / context);
  const shorter = Math.floor(tokens / samples);
  const ways = [
    `give at least ${needed - tokens} tokens more of text`,
    ...(fewer > 0 ? [`use --samples ${fewer}`] : []),
    ...(shorter >= 2 ? [`use --context ${shorter}`] : []),
    // Neither alone is enough.
    ...(samples > 1 && fewer === 0 && shorter < 2 && tokens >= 2 ? [`use --samples 1 --context ${tokens}`] : []),
  ];
  return new CalibrationError({
    what: `the text has ${tokens} tokens, and ${wanted} ${needed}`,
    next: ways.join(", or "),
  });
}
