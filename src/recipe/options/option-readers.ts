import type { Recipe } from "../recipe.js";
import { recipes } from "../recipes.js";
import { engineFragments } from "./engine-options.js";
import type { Fragments } from "./fragment.js";
import { isOptionGroup } from "./merge-options.js";
import type { ReadCondition, Reading } from "./reading.js";
import { recipeOptionsShape } from "./recipe-options.js";

/** Recipes that read an option, and all that must hold for them to do so. */
export interface OptionReader {
  readonly recipes: readonly string[];
  readonly conditions: readonly ReadCondition[];
}

/** Who reads the option of a dotted name; null for a name that is none of the algorithms'. */
export function readersOf(name: string): readonly OptionReader[] | null {
  if (!Object.hasOwn(recipeOptionsShape, name.split(".")[0] ?? "")) return null;
  // What recipes say themselves comes first.
  return readersBy(
    (recipe) => readingIn(recipe.options, name),
    () => readingIn(engineFragments, name),
  );
}

/** Who reads an option that each recipe reads by one of these; recipes under the same conditions stand together. */
export function readersBy(...readings: readonly ((recipe: Recipe) => Reading)[]): readonly OptionReader[] {
  const all: readonly Recipe[] = recipes;
  const found = readings.flatMap((readingOf) =>
    all.flatMap((recipe) => readingOf(recipe).map((conditions) => ({ recipe, conditions }))),
  );
  const groups = new Map<string, { readonly conditions: readonly ReadCondition[]; readonly names: Set<string> }>();
  for (const { recipe, conditions } of found) {
    const enough = found.some((other) => other.recipe === recipe && isLess(other.conditions, conditions));
    if (enough) continue;
    const key = conditions.map(({ text }) => text).join(" and ");
    const group = groups.get(key) ?? { conditions, names: new Set() };
    groups.set(key, group);
    group.names.add(recipe.name);
  }
  return [...groups.values()].map(({ conditions, names }) => ({
    recipes: all.map((recipe) => recipe.name).filter((each) => names.has(each)),
    conditions,
  }));
}

/** Whether a recipe reads the option of a dotted name under some conditions. */
export function declares(recipe: Pick<Recipe, "options">, name: string): boolean {
  return readingIn(recipe.options, name).length > 0 || readingIn(engineFragments, name).length > 0;
}

function readingIn(fragments: Fragments, name: string): Reading {
  const [group = "", ...keys] = name.split(".");
  let at: unknown = Object.hasOwn(fragments, group) ? fragments[group]?.readings : [];
  for (const key of keys) {
    if (Array.isArray(at)) break;
    at = isOptionGroup(at) && Object.hasOwn(at, key) ? at[key] : [];
  }
  return Array.isArray(at) ? (at as Reading) : [];
}

/** Whether fewer conditions, all of them among the others, are enough. */
function isLess(some: readonly ReadCondition[], others: readonly ReadCondition[]): boolean {
  return some.length < others.length && some.every((condition) => others.includes(condition));
}
