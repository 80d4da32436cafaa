import { defaultRecipe, type RecipeName, recipeNames, recipeOf } from "../../recipe/job/recipe-names.js";
import type { Fragments } from "../../recipe/options/fragment.js";
import { optionEntries, optionValue, type UntypedOptions } from "../../recipe/options/merge-options.js";
import { defaultPreset, presetNames } from "../../recipe/options/presets.js";

/**
 * The defaults of an option that go with another option, or with a preset of a recipe: "0.1 with rounding.kind=lora".
 *
 * @param own its default otherwise, as JSON
 */
export function otherDefaults(name: string, own: string): readonly string[] {
  const fragments = recipeNames.flatMap((recipe) => Object.values<Fragments[string]>(recipeOf(recipe).options));
  const rules = new Set(fragments.flatMap(({ dependentDefaults = [] }) => dependentDefaults));
  const dependent = [...rules].flatMap(({ option, value, defaults }) => valueIn(defaults, name, `${option}=${value}`));
  return [...dependent, ...recipeNames.flatMap((recipe) => presetValues(recipe, name))]
    .filter(({ value }) => value !== own)
    .map(({ value, when }) => `${value} with ${when}`);
}

interface OtherDefault {
  readonly value: string;
  readonly when: string;
}

function presetValues(recipe: RecipeName, name: string): readonly OtherDefault[] {
  return presetNames.flatMap((preset) => {
    const flags = [
      ...(recipe === defaultRecipe && preset !== defaultPreset ? [] : [`--recipe ${recipe}`]),
      ...(preset === defaultPreset ? [] : [`--preset ${preset}`]),
    ];
    return valueIn(recipeOf(recipe).presets[preset] ?? {}, name, flags.join(" "));
  });
}

function valueIn(options: UntypedOptions, name: string, when: string): readonly OtherDefault[] {
  const isThere = optionEntries(options).some(([entry]) => entry === name);
  return isThere ? [{ value: JSON.stringify(optionValue(options, name)), when }] : [];
}
