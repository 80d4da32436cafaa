import { SeededRandom } from "../calibration/seeded-random.js";
import { CalibrationError } from "../errors.js";
import type { Decoder } from "../network/decoder/decoder.js";
import { tokenIds } from "../network/decoder/token-ids.js";
import { scope } from "../tensor/index.js";
import { checkSampling, type SamplingOptions, sampleToken } from "./sample-token.js";

export interface GenerateOptions extends SamplingOptions {
  /** Most tokens to generate. Defaults to 64. */
  readonly tokens?: number;
  /** Seed of the sampling. Defaults to 0. */
  readonly seed?: number;
  /** Tokens that end the text; they are not yielded. Defaults to none. */
  readonly stop?: ReadonlySet<number>;
}

/**
 * Continues `prompt`, a token at a time with a key-value cache; yields token ids. It ends after `tokens`, at a token of
 * `stop`, or where the model's longest context ends, whichever is first. The caller may stop at any token: leaving the
 * loop frees the cache.
 *
 * @throws CalibrationError for an empty prompt, one that fills the context, or ids outside the vocabulary
 * @throws OptionError for a sampling option out of range
 */
export function* generate(
  model: Decoder,
  prompt: Int32Array,
  options: GenerateOptions = {},
): Generator<number, void, undefined> {
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
  const most = Math.min(tokens, maxPositions - prompt.length);
  const random = new SeededRandom(seed);
  const caches = model.caches();
  try {
    let input = prompt;
    for (let count = 0; count < most; count++) {
      const ids = input;
      const logits = scope(() =>
        model
          .logits(tokenIds(model.spec, ids, [1, ids.length], model.device), { caches, lastOnly: true })
          .toFloat32Array(),
      );
      const token = sampleToken(logits, options, random);
      if (stop.has(token)) return;
      yield token;
      input = Int32Array.of(token);
    }
  } finally {
    for (const cache of caches) cache.dispose();
  }
}
