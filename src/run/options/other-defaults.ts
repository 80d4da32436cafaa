import { defaultRecipe, type RecipeName, recipeNames, recipeOf } from "../../recipe/job/recipe-names.js";
import type { Fragments } from "../../recipe/options/fragment.js";
import { optionEntries, optionValue, type UntypedOptions } from "../../recipe/options/merge-options.js";
import { defaultPreset, presetNames } from "../../recipe/options/presets.js";

/**
 * The defaults of an option that go with another option, or with a preset of a recipe: "0.1 with rounding.kind=lora".
 *
 * @param own its default otherwise, as JSON
 * @param recipe null for those of all recipes
 */
export function otherDefaults(name: string, own: string, recipe: RecipeName | null = null): readonly string[] {
  const shown = recipe === null ? recipeNames : [recipe];
  const fragments = shown.flatMap((each) => Object.values<Fragments[string]>(recipeOf(each).options));
  const rules = new Set(fragments.flatMap(({ dependentDefaults = [] }) => dependentDefaults));
  const dependent = [...rules].flatMap(({ option, value, defaults }) => valueIn(defaults, name, `${option}=${value}`));
  return [...dependent, ...shown.flatMap((each) => presetValues(each, name, recipe !== null))]
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

function valueIn(options: UntypedOptions, name: string, when: string): readonly OtherDefault[] {
  const isThere = optionEntries(options).some(([entry]) => entry === name);
  return isThere ? [{ value: JSON.stringify(optionValue(options, name)), when }] : [];
}
