import type { TokenSequences } from "../calibration/token-sequences.js";
import type { DecoderSpec } from "../network/decoder/spec/decoder-spec.js";
import { tokenIds } from "../network/decoder/token-ids.js";
import { type Device, noGrad, scope, type Tensor } from "../tensor/index.js";
import { sumCrossEntropy } from "./cross-entropy.js";
import { notFinite } from "./not-finite.js";
import { type SequenceBatchOptions, sequenceBatches } from "./sequence-batches.js";

/** What perplexity needs of a model; a `Decoder` is one. */
export interface ScoredModel {
  readonly spec: DecoderSpec;
  readonly device: Device;
  /** Hidden states `[batch, time, width]` before the final norm, of ids `[batch, time]` (int64). */
  hidden(ids: Tensor): Tensor;
  /** Final norm and head: logits `[..., vocab]` of hidden states `[..., width]`. */
  head(hidden: Tensor): Tensor;
}

export interface Perplexity {
  /** `exp(loss)`. */
  readonly value: number;
  /** Mean cross-entropy in nats. */
  readonly loss: number;
  /** Tokens that were predicted: all but the first of every sequence. */
  readonly tokens: number;
}

/**
 * Perplexity: the exponential of the mean cross-entropy of tokens 2..n of every sequence, each sequence on its own.
 *
 * @throws CalibrationError for sequences of one token, ids outside the vocabulary, or sequences longer than the model's context
 * @throws ModelError when the logits are not finite
 */
export function perplexity(model: ScoredModel, text: TokenSequences, options: SequenceBatchOptions = {}): Perplexity {
  const { sequences, context } = text;
  let total = 0;
  for (const { ids, count, start } of sequenceBatches(text, options)) {
    total += sumOfSequences(model, ids, [count, context]);
    if (!Number.isFinite(total)) throw notFinite("the logits", `text sequences ${start} to ${start + count - 1}`);
  }
  const tokens = sequences * (context - 1);
  return { value: Math.exp(total / tokens), loss: total / tokens, tokens };
}

function sumOfSequences(model: ScoredModel, ids: Int32Array, [count, context]: readonly [number, number]): number {
  return noGrad(() =>
    scope(() => {
      const input = tokenIds(model.spec, ids, [count, context], model.device);
      const hidden = model.hidden(input).narrow(1, 0, context - 1);
      const targets = input.narrow(1, 1, context - 1).reshape([count * (context - 1)]);
      const rows = hidden.reshape([count * (context - 1), hidden.size(2)]);
      return sumCrossEntropy((x) => model.head(x), rows, targets, model.spec.vocabSize);
    }),
  );
}
