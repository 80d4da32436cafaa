import type { RecipeJob } from "../job/recipe-job.js";
import type { EngineOptions } from "../options/engine-options.js";
import type { Recipe } from "../recipe.js";

/** Whether end-to-end training follows the windows, as far as the options say. */
export function wantsFinish(
  { followedByEndToEnd }: Pick<Recipe, "followedByEndToEnd">,
  { finish }: Pick<EngineOptions, "finish">,
): boolean {
  return finish === "auto" ? followedByEndToEnd : finish === "scales";
}

/** End-to-end epochs, each of which counts as a window over all blocks; none without text. */
export function finishEpochs(
  recipe: Pick<Recipe, "followedByEndToEnd">,
  options: Pick<EngineOptions, "finish" | "endToEnd">,
  hasText: boolean,
): number {
  return hasText && wantsFinish(recipe, options) ? options.endToEnd.epochs : 0;
}

/** Windows that end-to-end training adds to those of a job's blocks. */
export function finishWindows({
  recipe,
  options,
  tokens,
  results,
}: Pick<RecipeJob, "recipe" | "options" | "tokens" | "results">): number {
  return results === null ? 0 : finishEpochs(recipe, options, tokens !== null);
}
