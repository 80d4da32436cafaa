import type { Head } from "../model/index.js";
import { backward, enableGrad, keep, noGrad, scope, Tensor } from "../tensor/index.js";

/** Bytes of logits, and of what their divergence makes of them, that are held at once. */
const MEMORY = 256 * 2 ** 20;

/** fp32 numbers per logit at the peak: the logits, both logarithms, the expected share, and the logits as the head gave them. */
const COPIES = 5;

export interface Divergence {
  /** fp32 `[1]`. */
  readonly loss: Tensor;
  /** In `hidden`; its shape and dtype. */
  readonly gradient: Tensor;
}

/**
 * `weight * sum KL(p || p')` over the tokens, where `p` are the probabilities of the next token that `target` stands for
 * and `p'` those of `hidden`, both `[batch, time, width]` before the final norm; and its gradient. The logits are made for
 * so many tokens at a time that they stay within 256 MiB, and judged in fp32 whatever the head returns.
 */
export function outputDivergence(head: Head, hidden: Tensor, target: Tensor, weight: number): Divergence {
  const gradient = keep(Tensor.zeros(hidden.shape, { device: hidden.device, dtype: hidden.dtype }));
  try {
    const out = gradient.reshape([-1, hidden.size(-1)]);
    const loss = overTokens(head, hidden, target, (rows, theirs, first) => {
      const leaf = rows.detach().requiresGrad_();
      const logits = enableGrad(() => head(leaf));
      const ours = logarithms(() => logits.detach());
      const share = theirs.exp();
      const sum = theirs.sub_(ours).mul_(share).sum().mul(weight);
      // The divergence falls along the difference of both shares.
      backward([logits], [ours.exp().sub_(share).mul_(weight).to(logits.dtype)]);
      out.narrow(0, first, rows.size(0)).copy_(leaf.grad as Tensor);
      return sum;
    });
    out.dispose();
    return { loss, gradient };
  } catch (error) {
    gradient.dispose();
    throw error;
  }
}

/** The divergence of `outputDivergence` alone; waits for the device. */
export function divergenceOf(head: Head, hidden: Tensor, target: Tensor, weight: number): number {
  const loss = overTokens(head, hidden, target, (rows, theirs) => {
    const ours = logarithms(() => head(rows));
    const share = theirs.exp();
    return theirs.sub_(ours).mul_(share).sum().mul(weight);
  });
  const value = loss.item();
  loss.dispose();
  return value;
}

/** What some rows add to the divergence; `theirs` are the log-probabilities that their targets stand for. */
type RowsDivergence = (rows: Tensor, theirs: Tensor, first: number) => Tensor;

function overTokens(head: Head, hidden: Tensor, target: Tensor, add: RowsDivergence): Tensor {
  const loss = keep(Tensor.zeros([1], { device: hidden.device }));
  try {
    noGrad(() =>
      scope(() => {
        const width = hidden.size(-1);
        const [rows, expected] = [hidden.reshape([-1, width]), target.reshape([-1, width])];
        const tokens = rows.size(0);
        const most = tokensAtOnce(scope(() => head(rows.narrow(0, 0, 1)).size(-1)));
        for (let first = 0; first < tokens; first += most) {
          const count = Math.min(most, tokens - first);
          scope(() => {
            const theirs = logarithms(() => head(expected.narrow(0, first, count)));
            loss.add_(add(rows.narrow(0, first, count), theirs, first));
          });
        }
      }),
    );
    return loss;
  } catch (error) {
    loss.dispose();
    throw error;
  }
}

// Log-probabilities, fp32; what they are made from is freed.
function logarithms(logits: () => Tensor): Tensor {
  return scope(() => logits().to("float32").logSoftmax(-1));
}

/** Bytes that the divergence of so many tokens takes at most. */
export function divergenceBytes(tokens: number, vocabSize: number): number {
  return Math.min(tokens, tokensAtOnce(vocabSize)) * vocabSize * 4 * COPIES;
}

function tokensAtOnce(vocabSize: number): number {
  return Math.max(1, Math.floor(MEMORY / (vocabSize * 4 * COPIES)));
}
