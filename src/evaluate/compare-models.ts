import type { TokenSequences } from "../calibration/token-sequences.js";
import { ModelError } from "../errors.js";
import { tokenIds } from "../network/decoder/token-ids.js";
import { noGrad, scope, Tensor } from "../tensor/index.js";
import { comparePositions, positionsAtOnce } from "./compare-positions.js";
import { notFinite } from "./not-finite.js";
import type { ScoredModel } from "./perplexity.js";
import { type SequenceBatchOptions, sequenceBatches } from "./sequence-batches.js";

/** How far a model's next-token distributions are from a reference's, over a text. */
export interface ModelComparison {
  /** Positions that were compared: all but the first token of every sequence is predicted. */
  readonly tokens: number;
  readonly perplexity: number;
  readonly referencePerplexity: number;
  /** `perplexity / referencePerplexity` */
  readonly perplexityRatio: number;
  /** Kullback-Leibler divergence from the reference's distribution to the model's, in nats per token. */
  readonly divergence: {
    readonly mean: number;
    /** Standard error of the mean, as if positions were independent; null for a single one. */
    readonly stderr: number | null;
    readonly median: number;
    readonly p95: number;
    readonly p99: number;
    readonly max: number;
  };
  /** Share of positions with the same most likely token. */
  readonly topAgreement: number;
  /** Probability of the text's own token, the model's minus the reference's. */
  readonly probabilityDifference: { readonly mean: number; readonly rms: number };
}

/**
 * Compares two models on the sequences of a text, on the positions that perplexity counts. Logits exist for this many
 * positions at a time that they stay within 256 MiB; of each position a few numbers remain.
 *
 * @throws CalibrationError for sequences of one token, ids outside the vocabulary, or sequences longer than either context
 * @throws ModelError for vocabularies of different sizes, and when logits are not finite
 */
export function compareModels(
  model: ScoredModel,
  reference: ScoredModel,
  text: TokenSequences,
  options: SequenceBatchOptions = {},
): ModelComparison {
  const { vocabSize } = model.spec;
  if (reference.spec.vocabSize !== vocabSize) {
    throw new ModelError({
      what: `the reference has logits of ${reference.spec.vocabSize} tokens, the model of ${vocabSize}`,
      why: "vocab_size in config.json; distributions over different vocabularies have no divergence",
      next: "give the model that was quantized, or another of the same vocabulary, as the reference",
    });
  }
  const { sequences, context } = text;
  const tokens = sequences * (context - 1);
  const divergences = new Float64Array(tokens);
  const sums = { logProbability: 0, referenceLogProbability: 0, same: 0, difference: 0, squaredDifference: 0 };
  let at = 0;
  for (const { ids, count, start } of sequenceBatches(text, options)) {
    const where = `text sequences ${start} to ${start + count - 1}`;
    compareBatch(model, reference, ids, [count, context], (position) => {
      const [own = Number.NaN, theirs = Number.NaN, divergence = Number.NaN, same = 0] = position;
      if (!Number.isFinite(own)) throw notFinite("the model's logits", where);
      if (!Number.isFinite(theirs)) throw notFinite("the reference's logits", where);
      const difference = Math.exp(own) - Math.exp(theirs);
      sums.logProbability += own;
      sums.referenceLogProbability += theirs;
      sums.same += same;
      sums.difference += difference;
      sums.squaredDifference += difference * difference;
      divergences[at++] = divergence;
    });
  }
  const perplexity = Math.exp(-sums.logProbability / tokens);
  const referencePerplexity = Math.exp(-sums.referenceLogProbability / tokens);
  return {
    tokens,
    perplexity,
    referencePerplexity,
    perplexityRatio: perplexity / referencePerplexity,
    divergence: distribution(divergences),
    topAgreement: sums.same / tokens,
    probabilityDifference: { mean: sums.difference / tokens, rms: Math.sqrt(sums.squaredDifference / tokens) },
  };
}

/** Calls `use` for each position, with the numbers of `comparePositions` in their order. */
function compareBatch(
  model: ScoredModel,
  reference: ScoredModel,
  ids: Int32Array,
  [count, context]: readonly [number, number],
  use: (position: Float64Array) => void,
): void {
  noGrad(() =>
    scope(() => {
      const input = tokenIds(model.spec, ids, [count, context], model.device);
      const rows = count * (context - 1);
      const states = (of: ScoredModel): Tensor =>
        scope(() => {
          const hidden = of.hidden(input).narrow(1, 0, context - 1);
          return hidden.reshape([rows, hidden.size(2)]);
        });
      const [ours, theirs] = [states(model), states(reference)];
      const targets = input.narrow(1, 1, context - 1).reshape([rows]);
      const most = positionsAtOnce(model.spec.vocabSize);
      for (let start = 0; start < rows; start += most) {
        const size = Math.min(most, rows - start);
        const numbers = scope(() => {
          const part = (x: Tensor): Tensor => x.narrow(0, start, size);
          const compared = comparePositions(model.head(part(ours)), reference.head(part(theirs)), part(targets));
          const { logProbability, referenceLogProbability, divergence, sameTop } = compared;
          return Tensor.stack([logProbability, referenceLogProbability, divergence, sameTop], 1).toArray();
        }) as Float64Array;
        for (let i = 0; i < size; i++) use(numbers.subarray(4 * i, 4 * i + 4));
      }
    }),
  );
}

function distribution(values: Float64Array): ModelComparison["divergence"] {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const sorted = values.sort();
  return {
    mean,
    stderr: count < 2 ? null : Math.sqrt(squares / (count - 1) / count),
    median: percentile(sorted, 0.5),
    p95: percentile(sorted, 0.95),
    p99: percentile(sorted, 0.99),
    max: sorted[count - 1] ?? Number.NaN,
  };
}

// Between two values in proportion, as llama.cpp and NumPy do.
function percentile(sorted: Float64Array, fraction: number): number {
  const place = fraction * (sorted.length - 1);
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}
