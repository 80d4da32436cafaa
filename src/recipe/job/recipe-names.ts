import type { Recipe } from "../recipe.js";
import { recipes } from "../recipes.js";

/** The algorithms that turn weights into codes. */
export type RecipeName = (typeof recipes)[number]["name"];

export const recipeNames: readonly RecipeName[] = recipes.map(({ name }) => name);

/** What a run takes where none is asked for. */
export const defaultRecipe: RecipeName = "cbq";

/** What a result is compared with: the method that only rounds. */
export const baseline: RecipeName = onlyRounding();

/** The method of a name. */
export function recipeOf(name: RecipeName): Recipe {
  const found = recipes.find((recipe) => recipe.name === name);
  if (found === undefined) throw new RangeError(`there is no recipe "${name}"`);
  return found;
}

function onlyRounding(): RecipeName {
  const all: readonly (Recipe & { readonly name: RecipeName })[] = recipes;
  const [found, ...others] = all.filter((recipe) => recipe.onlyRounds === true);
  if (found === undefined || others.length > 0) throw new RangeError("one recipe only rounds, and no other");
  return found.name;
}
