import type { EngineOptions } from "../options/engine-options.js";
import type { Recipe } from "../recipe.js";

/** Whether the scales of all blocks are trained end to end behind everything else, as far as the options say. */
export function wantsFinish(
  { followedByEndToEnd }: Pick<Recipe, "followedByEndToEnd">,
  { finish }: Pick<EngineOptions, "finish">,
): boolean {
  return finish === "auto" ? followedByEndToEnd : finish === "scales";
}
