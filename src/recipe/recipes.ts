import { cbq } from "./cbq.js";
import { gptq } from "./gptq.js";
import type { RecipeName } from "./options.js";
import type { Recipe } from "./recipe.js";
import { rtn } from "./rtn.js";

const recipes: Readonly<Record<RecipeName, Recipe>> = { rtn, gptq, cbq };

/** The method of a name. */
export function recipeOf(name: RecipeName): Recipe {
  return recipes[name];
}
