import { OptionError } from "../../errors.js";
import { deviceMemory, useOwnStream } from "../../tensor/index.js";
import { drive } from "../driver.js";
import { stagesOfJob, stageWindows } from "../end-to-end/stages.js";
import { trainNetwork } from "../end-to-end/train-network.js";
import type { RecipeEvent, RecipeJob, RecipeReport } from "./recipe-job.js";

/**
 * Runs the recipe that the job names, and the trainings of the whole network after it. Synchronous between two events; `job.poll` may throw to
 * stop it.
 *
 * @throws OptionError for a recipe without the text that it needs, or options that do not go together
 */
export function* runRecipe(job: RecipeJob): Generator<RecipeEvent, RecipeReport> {
  const { recipe, tokens, options } = job;
  if (recipe.needsText && tokens === null) {
    throw new OptionError({
      where: `recipe ${recipe.name}`,
      what: "needs calibration text",
      next: "give --calibration PATH",
    });
  }
  recipe.check?.(options);
  useOwnStream(job.device);
  const stages = stagesOfJob(job);
  let first = recipe.windows(job.network.units.length, options).length;
  const windows = first + stageWindows(stages);
  if ((job.resume?.window ?? 0) < first) yield* drive(recipe, job);
  for (const stage of stages) {
    yield* trainNetwork(job, stage, first, windows);
    first += stageWindows([stage]);
  }
  return { devicePeakBytes: deviceMemory(job.device)?.peak ?? null };
}
