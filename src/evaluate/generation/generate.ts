import { SeededRandom } from "../../calibration/seeded-random.js";
import { CalibrationError } from "../../errors.js";
import type { Decoder } from "../../network/decoder/decoder.js";
import { PromptCache } from "./prompt-cache.js";
import { checkSampling, type SamplingOptions, sampleToken } from "./sample-token.js";

export interface GenerateOptions extends SamplingOptions {
  /** Most tokens to generate. Defaults to 64. */
  readonly tokens?: number;
  /** Seed of the sampling. Defaults to 0. */
  readonly seed?: number;
  /** Tokens that end the text; they are not yielded. Defaults to none. */
  readonly stop?: ReadonlySet<number>;
}

/** Why a text ended: a token of `stop`, `tokens`, or the model's longest context. */
export type Ending = "stop token" | "tokens" | "context";

/**
 * Continues `prompt`, a token at a time with a key-value cache; yields token ids, and returns why it ended: at a token of
 * `stop`, after `tokens`, or where the model's longest context ends, whichever is first. The caller may stop at any
 * token: leaving the loop frees the cache, unless it is the caller's.
 *
 * @param kept what an earlier text left; the beginning that it shares with the prompt is not computed again
 * @throws CalibrationError for an empty prompt, one that fills the context, or ids outside the vocabulary
 * @throws OptionError for a sampling option out of range
 */
export function* generate(
  model: Decoder,
  prompt: Int32Array,
  options: GenerateOptions = {},
  kept?: PromptCache,
): Generator<number, Ending, undefined> {
  checkSampling(options);
  const { maxPositions } = model.spec;
  if (prompt.length === 0 || prompt.length >= maxPositions) {
    throw new CalibrationError({
      what: `a prompt of ${prompt.length} tokens can't be continued`,
      where: "prompt",
      why: `the model has a context of ${maxPositions} tokens`,
      next: `give a prompt of 1 to ${maxPositions - 1} tokens`,
    });
  }
  const { tokens = 64, seed = 0, stop = new Set() } = options;
  const room = maxPositions - prompt.length;
  const random = new SeededRandom(seed);
  const cache = kept ?? new PromptCache(model);
  try {
    let input = cache.begin(prompt);
    for (let count = 0; count < Math.min(tokens, room); count++) {
      const token = sampleToken(cache.logits(input), options, random);
      if (stop.has(token)) return "stop token";
      yield token;
      input = Int32Array.of(token);
    }
    return tokens <= room ? "tokens" : "context";
  } finally {
    if (kept === undefined) cache.dispose();
  }
}
