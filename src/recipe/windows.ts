import type { RecipeName, RecipeOptions } from "./options.js";
import type { RecipeJob } from "./recipe-job.js";
import { recipeOf } from "./recipes.js";

/** Whether a last stage follows them, as far as the options say. */
export function wantsFinish(recipe: RecipeName, { finish }: Pick<RecipeOptions, "finish">): boolean {
  return finish === "auto" ? recipeOf(recipe).followedByEndToEnd : finish === "scales";
}

/** Epochs of the last stage, each a window over all blocks; none without text. */
export function finishEpochs(
  recipe: RecipeName,
  options: Pick<RecipeOptions, "finish" | "endToEnd">,
  hasText: boolean,
): number {
  return hasText && wantsFinish(recipe, options) ? options.endToEnd.epochs : 0;
}

/** Windows that the last stage adds to those of a job's blocks. */
export function finishWindows({
  recipe,
  options,
  tokens,
  results,
}: Pick<RecipeJob, "recipe" | "options" | "tokens" | "results">): number {
  return results === null ? 0 : finishEpochs(recipe, options, tokens !== null);
}
