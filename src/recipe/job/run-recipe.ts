import { deviceMemory, useOwnStream } from "../../tensor/index.js";
import { drive } from "../driver.js";
import { finishScales } from "../end-to-end/finish-scales.js";
import { finishWindows } from "../end-to-end/windows.js";
import type { RecipeEvent, RecipeJob, RecipeReport } from "./recipe-job.js";

/**
 * Runs the recipe that the job names, and end-to-end training after it. Synchronous between two events; `job.poll` may throw to
 * stop it.
 */
export function* runRecipe(job: RecipeJob): Generator<RecipeEvent, RecipeReport> {
  useOwnStream(job.device);
  const { recipe } = job;
  const windows = recipe.windows(job.network.units.length, job.options).length;
  if ((job.resume?.window ?? 0) < windows) yield* drive(recipe, job);
  if (finishWindows(job) > 0) yield* finishScales(job, windows);
  return { devicePeakBytes: deviceMemory(job.device)?.peak ?? null };
}
