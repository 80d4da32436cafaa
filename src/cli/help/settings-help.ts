import { defaultRecipe, type RecipeName, recipeOf } from "../../recipe/job/recipe-names.js";
import { optionEntries, optionValue, type UntypedOptions } from "../../recipe/options/merge-options.js";
import { defaultPreset, type PresetName, presetNames } from "../../recipe/options/presets.js";
import { recipeOptionsShape } from "../../recipe/options/recipe-options.js";
import { resolveRecipeOptions } from "../../recipe/options/resolve-recipe-options.js";
import { isReadBy } from "../../run/options/option-use.js";
import { runOptionsSchema } from "../../run/options/options.js";
import { optionLines } from "../../run/options/parse/option-tree.js";
import { flags } from "./flags.js";
import { type ChosenRecipe, optionText } from "./option-text.js";
import { wrapped } from "./wrapped.js";

/** What `--help-all` is asked of: options as given so far; those of the recipes decide each other's defaults. */
export interface SettingsContext {
  readonly recipe?: RecipeName;
  readonly preset?: PresetName;
  readonly given?: UntypedOptions;
}

/** The settings that a recipe reads, with the values that its run takes, as `--help-all` prints them. */
export function settingsHelp({ recipe = defaultRecipe, preset = defaultPreset, given = {} }: SettingsContext): string {
  const own = Object.entries(given).filter(([name]) => Object.hasOwn(recipeOptionsShape, name));
  const values = resolveRecipeOptions(Object.fromEntries(own), { recipe, preset });
  const chosen: ChosenRecipe = {
    recipe,
    defaultOf(name) {
      const value = optionValue(values as unknown as UntypedOptions, name);
      return value === undefined ? undefined : JSON.stringify(value);
    },
  };
  const lines = optionLines(runOptionsSchema).filter(({ name }) => !(name in flags) && name !== "model");
  const read = lines.filter(({ name }) => isReadBy(name, recipe));
  const others = [...new Set(lines.filter((line) => !read.includes(line)).map(({ name }) => name.split(".")[0]))];
  return [
    `Settings that the recipe ${recipe} reads${preset === defaultPreset ? "" : ` with --preset ${preset}`}, for --set NAME=VALUE or the file after --config:`,
    ...read.flatMap((line) => [
      `  ${line.name}${line.choices === null ? ` <${line.type}>` : ""}`,
      ...wrapped(optionText(line, chosen), 6),
    ]),
    "",
    ...presetLines(recipe),
    "Exceptions for single Linears (overrides) go by module name, a glob in which * stands for any characters:",
    `  --set 'overrides=[{"pattern":"*.down_proj","bits":8}]'`,
    `  --set 'overrides=[{"pattern":"model.layers.0.*","skip":true}]'`,
    "",
    `Settings of other recipes (${others.join(", ")}): --recipe NAME --help-all`,
    "A file may hold options of several recipes: what stands under recipes.gptq counts with --recipe gptq only.",
  ]
    .flatMap((line) => (line.startsWith(" ") ? [line] : wrapped(line, 0)))
    .join("\n");
}

/** What the presets of a recipe set, and what the default one leaves. */
function presetLines(recipe: RecipeName): readonly string[] {
  const { presets } = recipeOf(recipe);
  return presetNames.flatMap((name) => {
    const values = optionEntries(presets[name] ?? {}).map(([option, value]) => `${option}=${JSON.stringify(value)}`);
    if (values.length === 0) return [];
    return [`The preset ${name} of ${recipe} sets:`, ...wrapped(values.join(" "), 2), ""];
  });
}
