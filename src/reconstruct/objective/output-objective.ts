import { type PortStore, portOf } from "../../calibration/port-store.js";
import type { TokenSequences } from "../../calibration/token-sequences.js";
import type { Head, NetworkEnd } from "../../network/index.js";
import { backward, enableGrad, keep, noGrad, scope, Tensor } from "../../tensor/index.js";

/** Bytes of logits, and of what their divergence makes of them, that are held at once. */
const MEMORY = 256 * 2 ** 20;

/** fp32 numbers per logit at the peak: the logits, both logarithms, the expected share, and the logits as the head gave them. */
const COPIES = 5;

/** What the output of a network is held against. */
export interface OutputObjective {
  /**
   * The loss of `hidden`, `[batch, time, width]` before the final norm, of the sequences `part`, times `weight`; and its
   * gradient in `hidden`. The logits are made for as many tokens at a time as 256 MiB hold, and judged in fp32.
   */
  descend(head: Head, hidden: Tensor, part: readonly number[], weight: number): OutputLoss;
  /** The loss alone; waits for the device. */
  measure(head: Head, hidden: Tensor, part: readonly number[], weight: number): number;
  /** Tokens over which the loss of these sequences, of `tokens` each, is a mean; at least 1. */
  counted(sequences: readonly number[], tokens: number): number;
}

export interface OutputLoss {
  /** fp32 `[1]`. */
  readonly loss: Tensor;
  /** In `hidden`; its shape and dtype. */
  readonly gradient: Tensor;
}

/** What some rows of hidden states add to the loss, and the gradient in their logits where it is asked for. */
type RowsLoss = (logits: Tensor, first: number) => { readonly loss: Tensor; readonly slope: () => Tensor };

/**
 * `KL(p || p')` of every token, where `p` are the probabilities of the next token by the hidden states in `target`, and
 * `p'` those of the network.
 */
export function outputDivergence(target: PortStore, { port }: Pick<NetworkEnd, "port">): OutputObjective {
  return objectiveOf((head, part, weight) => {
    const states = noGrad(() =>
      keep(
        scope(() => {
          const hidden = portOf(target.read(part), port);
          return hidden.reshape([-1, hidden.size(-1)]);
        }),
      ),
    );
    const rows: RowsLoss = (logits, first) => {
      const theirs = logarithms(() => head(states.narrow(0, first, logits.size(0))));
      const ours = logarithms(() => logits);
      const share = theirs.exp();
      const loss = theirs.sub_(ours).mul_(share).sum().mul(weight);
      // The divergence falls along the difference of both shares.
      return { loss, slope: () => ours.exp().sub_(share).mul_(weight) };
    };
    return { rows, owned: states };
  });
}

/**
 * Cross-entropy of every token's successor in the text, in nats. The last token of a sequence has no successor and no loss;
 * where the text says which tokens are answers, only those have one.
 */
export function nextTokenLoss({ ids, context: tokens, answers }: TokenSequences): OutputObjective {
  const labelOf = (sequence: number, i: number): bigint => {
    const at = sequence * tokens + i + 1;
    return i + 1 < tokens && (answers === undefined || answers[at] === 1) ? BigInt(ids[at] ?? 0) : -1n;
  };
  // Without answers the mean is over all tokens, the last ones too.
  const counted =
    answers === undefined
      ? undefined
      : (sequences: readonly number[]): number =>
          sequences.reduce((sum, sequence) => {
            const own = answers.subarray(sequence * tokens + 1, (sequence + 1) * tokens);
            return sum + own.reduce((all, each) => all + each, 0);
          }, 0);
  return objectiveOf((_head, part, weight) => {
    const labels = BigInt64Array.from(
      part.flatMap((sequence) => Array.from({ length: tokens }, (_, i) => labelOf(sequence, i))),
    );
    const owned = keep(Tensor.from(labels));
    const rows: RowsLoss = (logits, first) => {
      const label = owned.narrow(0, first, logits.size(0)).to(logits.device).unsqueeze(1);
      const counted = label.ge(0).to("float32");
      const place = label.clamp(0);
      const ours = logarithms(() => logits);
      const loss = ours.gather(1, place).mul(counted).sum().mul(-weight);
      const slope = (): Tensor => {
        const share = ours.exp();
        return share.scatter(1, place, share.gather(1, place).sub(1)).mul_(counted.mul(weight));
      };
      return { loss, slope };
    };
    return { rows, owned };
  }, counted);
}

/**
 * Cross-entropy of a token that is drawn for every position from the network's own probabilities, in nats: over many of them
 * the outer products of its gradient come to the Fisher information of the output. Draws from libtorch's own generator.
 */
export function drawnTokenLoss(): OutputObjective {
  return objectiveOf((_head, _part, weight) => {
    const rows: RowsLoss = (logits) => {
      const ours = logarithms(() => logits);
      const place = ours.exp().multinomial(1);
      const slope = (): Tensor => {
        const share = ours.exp();
        return share.scatter(1, place, share.gather(1, place).sub(1)).mul_(weight);
      };
      return { loss: ours.gather(1, place).sum().mul(-weight), slope };
    };
    return { rows, owned: null };
  });
}

function objectiveOf(
  begin: (head: Head, part: readonly number[], weight: number) => { rows: RowsLoss; owned: Tensor | null },
  counted: OutputObjective["counted"] = (sequences, tokens) => sequences.length * tokens,
): OutputObjective {
  return {
    counted: (sequences, tokens) => Math.max(1, counted(sequences, tokens)),
    descend(head, hidden, part, weight) {
      const { rows, owned } = begin(head, part, weight);
      try {
        // In a scope, which frees them where memory runs out: the caller tries again with fewer sequences.
        const { loss, gradient } = scope(() => {
          const gradient = Tensor.zeros(hidden.shape, { device: hidden.device, dtype: hidden.dtype });
          const out = gradient.reshape([-1, hidden.size(-1)]);
          const loss = overRows(head, hidden, (states, first) => {
            const leaf = states.detach().requiresGrad_();
            const logits = enableGrad(() => head(leaf));
            const { loss: sum, slope } = rows(logits.detach(), first);
            backward([logits], [slope().to(logits.dtype)]);
            out.narrow(0, first, states.size(0)).copy_(leaf.grad as Tensor);
            return sum;
          });
          return { loss, gradient };
        });
        return { loss: keep(loss), gradient: keep(gradient) };
      } finally {
        owned?.dispose();
      }
    },
    measure(head, hidden, part, weight) {
      const { rows, owned } = begin(head, part, weight);
      try {
        const loss = overRows(head, hidden, (states, first) => rows(head(states), first).loss);
        const value = loss.item();
        loss.dispose();
        return value;
      } finally {
        owned?.dispose();
      }
    },
  };
}

function overRows(head: Head, hidden: Tensor, add: (states: Tensor, first: number) => Tensor): Tensor {
  const loss = keep(Tensor.zeros([1], { device: hidden.device }));
  try {
    noGrad(() =>
      scope(() => {
        const states = hidden.reshape([-1, hidden.size(-1)]);
        const tokens = states.size(0);
        const most = tokensAtOnce(scope(() => head(states.narrow(0, 0, 1)).size(-1)));
        for (let first = 0; first < tokens; first += most) {
          const count = Math.min(most, tokens - first);
          scope(() => loss.add_(add(states.narrow(0, first, count), first)));
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
