import type { SeededRandom } from "../../calibration/seeded-random.js";
import { OptionError } from "../../errors.js";

export interface SamplingOptions {
  /** 0 (default) takes the most likely token; 1 samples from the model's own distribution. */
  readonly temperature?: number;
  /** Samples among the `topK` most likely tokens only. Defaults to all. */
  readonly topK?: number;
  /** Samples among the most likely tokens that together have this probability. Defaults to 1: all. */
  readonly topP?: number;
}

/** @throws OptionError when a value is out of its range */
export function checkSampling({ temperature = 0, topK = 1, topP = 1 }: SamplingOptions): void {
  if (!(temperature >= 0 && Number.isFinite(temperature))) {
    throw new OptionError({
      what: `temperature is ${temperature}`,
      next: "use 0 for the most likely token, 0.8 to sample",
    });
  }
  if (!(Number.isSafeInteger(topK) && topK >= 1)) {
    throw new OptionError({ what: `topK is ${topK}`, next: "use a number of tokens, 1 or more" });
  }
  if (!(topP > 0 && topP <= 1)) {
    throw new OptionError({ what: `topP is ${topP}`, next: "use a probability above 0, at most 1" });
  }
}

/**
 * Chooses a token by its logits. Sampling is ours, not libtorch's, so that a seed chooses the same tokens on every
 * device and in every version, as far as the logits are the same.
 */
export function sampleToken(logits: Float32Array, options: SamplingOptions, random: SeededRandom): number {
  const { temperature = 0, topK = logits.length, topP = 1 } = options;
  let best = 0;
  let highest = Number.NEGATIVE_INFINITY;
  logits.forEach((logit, token) => {
    if (logit > highest) {
      highest = logit;
      best = token;
    }
  });
  if (temperature === 0) return best;
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - highest) / temperature));
  const candidates = likeliest(weights, topK, topP);
  let rest = ((random.uint32() + 0.5) / 2 ** 32) * sum(weights, candidates);
  for (const token of candidates) {
    rest -= weights[token] ?? 0;
    if (rest <= 0) return token;
  }
  // Rounding left a remainder: it belongs to the last candidate.
  return candidates.at(-1) ?? best;
}

// The tokens to draw from: sorted by weight only where one of the limits asks for it.
function likeliest(weights: Float64Array, topK: number, topP: number): Uint32Array {
  const tokens = Uint32Array.from(weights, (_, token) => token);
  if (topK >= tokens.length && topP === 1) return tokens;
  // Equal weights stay in the order of their ids: the sort is stable.
  const sorted = tokens.sort((a, b) => (weights[b] ?? 0) - (weights[a] ?? 0)).subarray(0, topK);
  let missing = topP * sum(weights, sorted);
  let count = 0;
  while (count < sorted.length && missing > 0) missing -= weights[sorted[count++] ?? 0] ?? 0;
  return sorted.subarray(0, Math.max(1, count));
}

function sum(weights: Float64Array, tokens: Uint32Array): number {
  return tokens.reduce((total, token) => total + (weights[token] ?? 0), 0);
}
