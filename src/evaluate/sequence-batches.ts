import type { TokenSequences } from "../calibration/token-sequences.js";
import { CalibrationError } from "../errors.js";

/** Some sequences that run through a model together. */
export interface SequenceBatch {
  /** `[count, context]` */
  readonly ids: Int32Array;
  readonly count: number;
  /** Number of the first sequence. */
  readonly start: number;
}

export interface SequenceBatchOptions {
  /** Tokens that run through the model together. Defaults to 4096; never less than one sequence. */
  readonly batchTokens?: number;
  /** Called between batches with the sequences done: for progress, and to throw when the work was cancelled. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** @throws CalibrationError for sequences of one token, or none: they hold nothing to predict */
export function* sequenceBatches(
  { ids, sequences, context }: TokenSequences,
  options: SequenceBatchOptions,
): Generator<SequenceBatch, void> {
  if (context < 2 || sequences < 1) {
    throw new CalibrationError({
      what: `${sequences} sequences of ${context} tokens hold nothing to predict`,
      next: "use --context 2 or more, and text of at least one sequence",
    });
  }
  const most = Math.max(1, Math.floor((options.batchTokens ?? 4096) / context));
  for (let start = 0; start < sequences; start += most) {
    options.onProgress?.(start, sequences);
    const count = Math.min(most, sequences - start);
    yield { ids: ids.subarray(start * context, (start + count) * context), count, start };
  }
  options.onProgress?.(sequences, sequences);
}
