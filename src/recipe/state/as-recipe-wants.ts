import type { RecipeJob } from "../job/recipe-job.js";
import type { EngineOptions } from "../options/engine-options.js";

/** What of a job a recipe may see otherwise than it was given. */
type Job = Pick<RecipeJob, "recipe" | "network" | "scheme" | "options">;

/** The job with the network cut as its recipe wants it, and the recipe's own overrides under those that were given. */
export function asRecipeWants<J extends Job>(job: J): J {
  const { recipe, scheme } = job;
  const network = recipe.network?.(job.network, job.options) ?? job.network;
  const own = recipe.overrides?.(network.units, job.options, scheme) ?? [];
  const options: EngineOptions =
    own.length === 0 ? job.options : { ...job.options, overrides: [...own, ...job.options.overrides] };
  return { ...job, network, options };
}
