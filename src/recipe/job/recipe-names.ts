import type { Recipe } from "../recipe.js";
import { recipes } from "../recipes.js";

/** The algorithms that turn weights into codes. */
export type RecipeName = (typeof recipes)[number]["name"];

export const recipeNames: readonly RecipeName[] = recipes.map(({ name }) => name);

/** What a run takes where none is asked for. */
export const defaultRecipe: RecipeName = "cbq";

/** The method of a name. */
export function recipeOf(name: RecipeName): Recipe {
  const found = recipes.find((recipe) => recipe.name === name);
  if (found === undefined) throw new RangeError(`there is no recipe "${name}"`);
  return found;
}
