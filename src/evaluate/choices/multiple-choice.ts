import type { Decoder } from "../../network/index.js";
import { continuationLikelihoods, fits, type LikelihoodOptions } from "./continuation-likelihoods.js";
import type { EncodedQuestion } from "./encode-question.js";

export interface MultipleChoice {
  /** Share of questions whose right choice has the largest log-likelihood. */
  readonly accuracy: number;
  /** Standard error of `accuracy`; null for a single question. */
  readonly stderr: number | null;
  /** The same where each log-likelihood is divided by the bytes of its choice. */
  readonly accuracyNorm: number;
  readonly stderrNorm: number | null;
  readonly questions: number;
  /** Questions whose context had to be cut for a choice or more. */
  readonly cut: number;
}

/**
 * Answers questions by log-likelihood, as lm-evaluation-harness does: of equal choices the first counts.
 *
 * @throws what `continuationLikelihoods` throws, naming the question
 */
export function multipleChoice(
  model: Decoder,
  questions: readonly EncodedQuestion[],
  options: LikelihoodOptions = {},
): MultipleChoice {
  const likelihoods = continuationLikelihoods(model, questions, options);
  let right = 0;
  let rightNorm = 0;
  let cut = 0;
  questions.forEach(({ context, continuations, lengths, answer }, i) => {
    const values = likelihoods[i] ?? [];
    if (largest(values) === answer) right++;
    if (largest(values.map((value, choice) => value / (lengths[choice] ?? 1))) === answer) rightNorm++;
    if (!continuations.every((ids) => fits(model, context, ids))) cut++;
  });
  const count = questions.length;
  return {
    accuracy: right / count,
    stderr: standardError(right, count),
    accuracyNorm: rightNorm / count,
    stderrNorm: standardError(rightNorm, count),
    questions: count,
    cut,
  };
}

function largest(values: readonly number[]): number {
  return values.indexOf(Math.max(...values));
}

// Of the mean of `count` numbers, `ones` of them 1 and the others 0, by the sample's variance.
function standardError(ones: number, count: number): number | null {
  if (count < 2) return null;
  const mean = ones / count;
  return Math.sqrt((mean * (1 - mean)) / (count - 1));
}
