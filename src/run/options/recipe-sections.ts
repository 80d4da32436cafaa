import { z } from "zod";
import { defaultRecipe, recipeNames } from "../../recipe/job/recipe-names.js";
import { isOptionGroup, mergeOptions, type UntypedOptions } from "../../recipe/options/merge-options.js";
import { runOptionsSchema } from "./options.js";
import { parseOptions, rejectUnknownKeys } from "./parse/parse-options.js";

/** What a section holds: options that go with a recipe, which is chosen beside it. */
const section = runOptionsSchema.omit({ recipe: true }).partial();
const sections = z.strictObject({
  recipes: z.strictObject(Object.fromEntries(recipeNames.map((name) => [name, section]))),
});
const groups = z.looseObject({ recipes: z.record(z.string(), z.looseObject({})).default({}) });

/**
 * The options of a file that several recipes share: what stands under `recipes.NAME` holds where that recipe is the
 * chosen one, and over what stands beside it.
 *
 * @param over what wins over the file and may choose the recipe
 * @throws OptionError for a section of no recipe, or an option that does not exist in one
 */
export function withRecipeSection(file: UntypedOptions, over: UntypedOptions): UntypedOptions {
  const { recipes, ...shared } = file;
  const found = parseOptions(groups, { recipes }).recipes;
  if (isOptionGroup(recipes)) rejectUnknownKeys(sections, { recipes });
  const chosen = over["recipe"] ?? shared["recipe"] ?? defaultRecipe;
  const name = recipeNames.find((recipe) => recipe === chosen);
  return mergeOptions(shared, (name === undefined ? undefined : found[name]) ?? {});
}
