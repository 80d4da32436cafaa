import { noGrad, scope, Tensor } from "../tensor/index.js";
import { comparePositions, positionsAtOnce } from "./compare-positions.js";

/** How far two runtimes are apart on the same tokens. */
export interface LogitsComparison {
  readonly perplexity: number;
  readonly referencePerplexity: number;
  /** Share of positions with the same most likely token. */
  readonly topAgreement: number;
  /** Mean Kullback-Leibler divergence from the reference, in nats per token. */
  readonly divergence: number;
  readonly largestDifference: number;
}

/** Compares logits `[tokens, vocabulary]`; the perplexity is that of each next token. */
export function compareLogits(
  logits: Float32Array,
  reference: Float32Array,
  tokens: readonly number[],
): LogitsComparison {
  const vocabulary = logits.length / tokens.length;
  const count = tokens.length - 1;
  const most = positionsAtOnce(vocabulary);
  const sums = [0, 0, 0, 0];
  let largestDifference = 0;
  for (let start = 0; start < count; start += most) {
    const rows = Math.min(most, count - start);
    noGrad(() =>
      scope(() => {
        const part = (of: Float32Array): Tensor =>
          Tensor.from(of.subarray(start * vocabulary, (start + rows) * vocabulary), [rows, vocabulary]);
        const [ours, theirs] = [part(logits), part(reference)];
        const next = Tensor.from(Int32Array.from(tokens.slice(start + 1, start + 1 + rows))).to("int64");
        const compared = comparePositions(ours, theirs, next);
        const { logProbability, referenceLogProbability, divergence, sameTop } = compared;
        [logProbability, referenceLogProbability, divergence, sameTop].forEach((values, i) => {
          sums[i] = (sums[i] ?? 0) + values.sum().item();
        });
        largestDifference = Math.max(largestDifference, ours.sub(theirs).abs().amax().item());
      }),
    );
  }
  const [logProbability = 0, referenceLogProbability = 0, divergence = 0, same = 0] = sums;
  return {
    perplexity: Math.exp(-logProbability / count),
    referencePerplexity: Math.exp(-referenceLogProbability / count),
    topAgreement: same / count,
    divergence: divergence / count,
    largestDifference,
  };
}
