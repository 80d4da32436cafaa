import { defaultRecipe, type RecipeName, recipeNames, recipeOf } from "../../recipe/job/recipe-names.js";
import { effortNames } from "../../recipe/options/efforts.js";
import type { Fragments } from "../../recipe/options/fragment.js";
import { optionEntries, optionValue, type UntypedOptions } from "../../recipe/options/merge-options.js";
import { defaultPreset, presetNames } from "../../recipe/options/presets.js";
import { effortValues } from "./effort/efforts.js";

/**
 * The defaults of an option that go with another option, a preset of a recipe or an effort: "0.1 with rounding.kind=lora".
 *
 * @param own its default otherwise, as JSON
 * @param recipe null for those of all recipes
 */
export function otherDefaults(name: string, own: string, recipe: RecipeName | null = null): readonly string[] {
  const shown = recipe === null ? recipeNames : [recipe];
  const fragments = shown.flatMap((each) => Object.values<Fragments[string]>(recipeOf(each).options));
  const rules = new Set(fragments.flatMap(({ dependentDefaults = [] }) => dependentDefaults));
  const dependent = [...rules].flatMap(({ option, value, defaults }) => valueIn(defaults, name, `${option}=${value}`));
  const presets = shown.flatMap((each) => presetValues(each, name, recipe !== null));
  const efforts = shown.flatMap((each) => effortDefaults(each, name, recipe !== null));
  return [...dependent, ...presets, ...efforts]
    .filter(({ value }) => value !== own)
    .map(({ value, when }) => `${value} with ${when}`);
}

interface OtherDefault {
  readonly value: string;
  readonly when: string;
}

function presetValues(recipe: RecipeName, name: string, isChosen: boolean): readonly OtherDefault[] {
  return presetNames.flatMap((preset) => {
    const flags = [
      ...(isChosen || (recipe === defaultRecipe && preset !== defaultPreset) ? [] : [`--recipe ${recipe}`]),
      ...(preset === defaultPreset ? [] : [`--preset ${preset}`]),
    ];
    // The default preset of the chosen recipe is what its defaults are made of.
    if (flags.length === 0) return [];
    return valueIn(recipeOf(recipe).presets[preset] ?? {}, name, flags.join(" "));
  });
}

// Most of what efforts set is the same for all recipes: another one is named where its value is its own.
function effortDefaults(recipe: RecipeName, name: string, isChosen: boolean): readonly OtherDefault[] {
  return effortNames.flatMap((effort) => {
    const [found] = valueIn(effortValues(effort, recipe, {}), name, `--effort ${effort}`);
    if (found === undefined || isChosen || recipe === defaultRecipe) return found ?? [];
    const [usual] = valueIn(effortValues(effort, defaultRecipe, {}), name, found.when);
    return usual?.value === found.value ? [] : { ...found, when: `--recipe ${recipe} ${found.when}` };
  });
}

function valueIn(options: UntypedOptions, name: string, when: string): readonly OtherDefault[] {
  const isThere = optionEntries(options).some(([entry]) => entry === name);
  return isThere ? [{ value: JSON.stringify(optionValue(options, name)), when }] : [];
}
