import { type Window, windowSchedule } from "../window/schedule.js";
import type { RecipeName, RecipeOptions } from "./options.js";
import type { RecipeJob } from "./recipe-job.js";

/** The windows of blocks that a recipe goes through, in order: one block each where nothing is trained together. */
export function blockWindows(
  recipe: RecipeName,
  { window }: Pick<RecipeOptions, "window">,
  blocks: number,
): readonly Window[] {
  if (recipe === "cbq") return windowSchedule(blocks, window.size, window.overlap);
  return Array.from({ length: blocks }, (_, first) => ({ first, last: first, leaving: 1 }));
}

/** Whether a last stage follows them, as far as the options say. */
export function wantsFinish(recipe: RecipeName, { finish }: Pick<RecipeOptions, "finish">): boolean {
  return finish === "auto" ? recipe === "cbq" : finish === "scales";
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
