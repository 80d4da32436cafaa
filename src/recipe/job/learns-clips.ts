import type { EngineOptions } from "../options/engine-options.js";
import { declares } from "../options/option-readers.js";
import type { Recipe } from "../recipe.js";

/** Whether a recipe trains the clips of quantized inputs in its windows: it reads the option that asks for it. */
export function learnsClips(recipe: Recipe, { activation }: Pick<EngineOptions, "activation">): boolean {
  return activation.learnClip && declares(recipe, "activation.learnClip");
}
