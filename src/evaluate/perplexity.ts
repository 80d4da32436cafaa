import type { TokenWindows } from "../calibration/token-windows.js";
import { CalibrationError, ModelError } from "../errors.js";
import type { DecoderSpec } from "../model/decoder-spec.js";
import { tokenIds } from "../model/token-ids.js";
import { type Device, noGrad, scope, type Tensor } from "../tensor/index.js";
import { sumCrossEntropy } from "./cross-entropy.js";

/** What perplexity needs of a model; a `Decoder` is one. */
export interface ScoredModel {
  readonly spec: DecoderSpec;
  readonly device: Device;
  /** Hidden states `[batch, time, width]` before the final norm, of ids `[batch, time]` (int64). */
  hidden(ids: Tensor): Tensor;
  /** Final norm and head: logits `[..., vocab]` of hidden states `[..., width]`. */
  head(hidden: Tensor): Tensor;
}

export interface PerplexityOptions {
  /** Tokens that run through the model together. Defaults to 4096; never less than one window. */
  readonly batchTokens?: number;
  /** Called between batches with the windows done: for progress, and to throw when the work was cancelled. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface Perplexity {
  /** `exp(loss)`. */
  readonly value: number;
  /** Mean cross-entropy in nats. */
  readonly loss: number;
  /** Tokens that were predicted: all but the first of every window. */
  readonly tokens: number;
}

/**
 * Perplexity: the exponential of the mean cross-entropy of tokens 2..n of every window, each window on its own.
 *
 * @throws CalibrationError for windows of one token, ids outside the vocabulary, or windows longer than the model's context
 * @throws ModelError when the logits are not finite
 */
export function perplexity(model: ScoredModel, windows: TokenWindows, options: PerplexityOptions = {}): Perplexity {
  const { ids, sequences, context } = windows;
  if (context < 2 || sequences < 1) {
    throw new CalibrationError({
      what: `${sequences} windows of ${context} tokens hold nothing to predict`,
      next: "use --context 2 or more, and text of at least one window",
    });
  }
  const batch = Math.max(1, Math.floor((options.batchTokens ?? 4096) / context));
  let total = 0;
  for (let start = 0; start < sequences; start += batch) {
    options.onProgress?.(start, sequences);
    const count = Math.min(batch, sequences - start);
    total += sumOfWindows(model, ids.subarray(start * context, (start + count) * context), [count, context]);
    if (!Number.isFinite(total)) {
      throw new ModelError({
        what: "the logits are not finite",
        where: `text windows ${start} to ${start + count - 1}`,
        why: "values overflow in the arithmetic that was chosen, or weights or scales are broken",
        next: "evaluate in float32 on the CPU; if that fails too, quantize or download the model again",
      });
    }
  }
  options.onProgress?.(sequences, sequences);
  const tokens = sequences * (context - 1);
  return { value: Math.exp(total / tokens), loss: total / tokens, tokens };
}

function sumOfWindows(model: ScoredModel, ids: Int32Array, [count, context]: readonly [number, number]): number {
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
