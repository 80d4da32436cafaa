import type { EngineOptions } from "../options/engine-options.js";
import type { Recipe } from "../recipe.js";

/**
 * Sequences that are on the device at once to begin with: as many as the job says, else the `most` that anything asks for.
 * Where memory runs out `SequenceParts` halves it; what fits, `run/` estimates beforehand.
 */
export function microBatch({ window }: Pick<EngineOptions, "window">, most: number): number {
  return Math.min(window.microBatch ?? most, most);
}

/** Sequences of a training step of a recipe's windows. */
export function stepBatch(recipe: Pick<Recipe, "cost">, options: EngineOptions): number {
  return recipe.cost(options).batch ?? options.window.batch;
}

/**
 * The most sequences that anything in a recipe's windows takes at once: a training step, or a pass without gradients, which
 * takes `window.batch`, whoever declares that.
 */
export function mostAtOnce(recipe: Pick<Recipe, "cost">, options: EngineOptions): number {
  return Math.max(options.window.batch, stepBatch(recipe, options));
}
