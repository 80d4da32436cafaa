import type { EngineOptions } from "../options/engine-options.js";

/**
 * Sequences that are on the device at once to begin with: as many as the job says, else a step's whole `batch`. Where memory
 * runs out `SequenceParts` halves it; what fits, `run/` estimates beforehand.
 */
export function microBatch({ window }: Pick<EngineOptions, "window">, batch = window.batch): number {
  return Math.min(window.microBatch ?? batch, batch);
}
