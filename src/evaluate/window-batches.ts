import type { TokenWindows } from "../calibration/token-windows.js";
import { CalibrationError } from "../errors.js";

/** Some windows that run through a model together. */
export interface WindowBatch {
  /** `[count, context]` */
  readonly ids: Int32Array;
  readonly count: number;
  /** Number of the first window. */
  readonly start: number;
}

export interface WindowBatchOptions {
  /** Tokens that run through the model together. Defaults to 4096; never less than one window. */
  readonly batchTokens?: number;
  /** Called between batches with the windows done: for progress, and to throw when the work was cancelled. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** @throws CalibrationError for windows of one token, or none: they hold nothing to predict */
export function* windowBatches(
  { ids, sequences, context }: TokenWindows,
  options: WindowBatchOptions,
): Generator<WindowBatch, void> {
  if (context < 2 || sequences < 1) {
    throw new CalibrationError({
      what: `${sequences} windows of ${context} tokens hold nothing to predict`,
      next: "use --context 2 or more, and text of at least one window",
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
