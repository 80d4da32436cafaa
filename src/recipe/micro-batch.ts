import type { RecipeJob } from "./recipe-job.js";

/**
 * Sequences that are on the device at once to begin with: as many as the job says, else a step's whole `batch`. Where memory
 * runs out `SequenceParts` halves it; what fits, `run/` estimates beforehand.
 */
export function microBatch({ options }: Pick<RecipeJob, "options">, batch = options.window.batch): number {
  return Math.min(options.window.microBatch ?? batch, batch);
}
