import type { Tensor } from "../tensor/index.js";

/** What two models make of the same positions; everything `[rows]`, in float64. */
export interface PositionComparison {
  /** Log-probability of the token that follows. */
  readonly logProbability: Tensor;
  readonly referenceLogProbability: Tensor;
  /** Kullback-Leibler divergence from the reference, in nats: sum of `p_reference (log p_reference - log p)`. */
  readonly divergence: Tensor;
  /** 1 where the most likely token is the same, else 0. */
  readonly sameTop: Tensor;
}

/** Bytes that a position takes meanwhile for each entry of the vocabulary: two logits, and seven float64. */
const bytesPerEntry = 64;

/**
 * Compares logits `[rows, vocab]` of two models before the same tokens `[rows]` (int64). In float64, because nearly equal
 * distributions differ by less than what float32 loses in the sum over a vocabulary.
 */
export function comparePositions(logits: Tensor, reference: Tensor, tokens: Tensor): PositionComparison {
  const ours = logits.to("float64").logSoftmax(-1);
  const theirs = reference.to("float64").logSoftmax(-1);
  const index = tokens.unsqueeze(1);
  return {
    logProbability: ours.gather(1, index).squeeze(1),
    referenceLogProbability: theirs.gather(1, index).squeeze(1),
    divergence: theirs.exp().mul_(theirs.sub(ours)).sum(-1),
    sameTop: logits.argmax(-1).eq(reference.argmax(-1)).to("float64"),
  };
}

/** Positions that are compared at once, so that what they take stays within 256 MiB. */
export function positionsAtOnce(vocabSize: number): number {
  return Math.max(1, Math.floor((256 * 2 ** 20) / (bytesPerEntry * vocabSize)));
}
