import { z } from "zod";
import { defaultRecipe, type RecipeName, recipeOf } from "../job/recipe-names.js";
import { mergeOptions, optionValue, type UntypedOptions } from "./merge-options.js";
import { declares } from "./option-readers.js";
import { defaultPreset, type PresetName } from "./presets.js";
import { type RecipeOptions, type RecipeOptionsInput, recipeOptionsShape } from "./recipe-options.js";

/** What decides defaults, beside the options themselves. */
export interface DefaultsContext {
  /** Defaults to cbq. */
  readonly recipe?: RecipeName;
  /** Defaults to `default`. */
  readonly preset?: PresetName;
}

/**
 * The values that lie over the schema's defaults and under what is given: those that come with another option's value,
 * and the preset's over them.
 */
export function defaultsBelow(given: UntypedOptions, context: DefaultsContext = {}): UntypedOptions {
  const recipe = recipeOf(context.recipe ?? defaultRecipe);
  const values = recipe.presets[context.preset ?? defaultPreset] ?? {};
  const chosen = mergeOptions(values, given);
  const dependent = Object.values(recipe.options)
    .flatMap(({ dependentDefaults = [] }) => dependentDefaults)
    .filter(({ option, value }) => optionValue(chosen, option) === value)
    .map(({ defaults }) => defaults);
  // Without optimisation steps there is no batch to bound what is on the device at once.
  const microBatch = optionValue(given, "window.microBatch");
  const unbounded =
    !declares(recipe, "window.batch") && typeof microBatch === "number" ? { window: { batch: microBatch } } : {};
  return mergeOptions(unbounded, ...dependent, values);
}

/**
 * The options of a recipe with every value present: the one way from what is given to what a recipe runs with.
 *
 * @throws ZodError for a value that the schema does not take; `run/` checks what users write beforehand
 */
export function resolveRecipeOptions(given: RecipeOptionsInput = {}, context: DefaultsContext = {}): RecipeOptions {
  return z.strictObject(recipeOptionsShape).parse(mergeOptions(defaultsBelow(given, context), given));
}
