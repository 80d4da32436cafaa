import { useOwnStream } from "../tensor/index.js";
import { cbq } from "./cbq.js";
import { gptq } from "./gptq.js";
import type { RecipeName } from "./options.js";
import type { RecipeEvent, RecipeJob, RecipeReport } from "./recipe-job.js";
import { rtn } from "./rtn.js";

const recipes: Readonly<Record<RecipeName, (job: RecipeJob) => Generator<RecipeEvent, RecipeReport>>> = {
  rtn,
  gptq,
  cbq,
};

/** Runs the recipe that the job names. Synchronous between two events; `job.poll` may throw to stop it. */
export function runRecipe(job: RecipeJob): Generator<RecipeEvent, RecipeReport> {
  useOwnStream(job.device);
  return recipes[job.recipe](job);
}
