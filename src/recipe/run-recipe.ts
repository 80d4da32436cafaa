import { deviceMemory, useOwnStream } from "../tensor/index.js";
import { cbq } from "./cbq.js";
import { finishScales } from "./finish-scales.js";
import { gptq } from "./gptq.js";
import type { RecipeName } from "./options.js";
import type { Recipe, RecipeEvent, RecipeJob, RecipeReport } from "./recipe-job.js";
import { rtn } from "./rtn.js";
import { blockWindows, finishWindows } from "./windows.js";

const recipes: Readonly<Record<RecipeName, Recipe>> = { rtn, gptq, cbq };

/**
 * Runs the recipe that the job names, and the last stage behind it. Synchronous between two events; `job.poll` may throw to
 * stop it.
 */
export function* runRecipe(job: RecipeJob): Generator<RecipeEvent, RecipeReport> {
  useOwnStream(job.device);
  const windows = blockWindows(job.recipe, job.options, job.spec.blocks).length;
  if ((job.resume?.window ?? 0) < windows) yield* recipes[job.recipe](job);
  if (finishWindows(job) > 0) yield* finishScales(job, windows);
  return { devicePeakBytes: deviceMemory(job.device)?.peak ?? null };
}
