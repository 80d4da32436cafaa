import { type RecipeName, recipeOf } from "../../../recipe/job/recipe-names.js";
import { type EffortName, effortNames } from "../../../recipe/options/efforts.js";
import {
  mergeOptions,
  optionEntries,
  optionValue,
  type UntypedOptions,
} from "../../../recipe/options/merge-options.js";
import { defaultPreset, type PresetName } from "../../../recipe/options/presets.js";
import type { Device } from "../../../tensor/index.js";

/**
 * How much text each effort takes, whatever the recipe; what it trains with it stands beside the recipe (`efforts`). `normal`
 * is what the schema and the recipe's preset say.
 */
const text: Readonly<Record<Exclude<EffortName, "normal">, UntypedOptions>> = {
  quick: { samples: 24, context: 1024 },
  best: { samples: 512 },
};

/** Who chose the effort of a run: the user, the device that it runs on, or the time that it was given. */
export type EffortChoice = "given" | "device" | "time";

/** The effort that a string names; null for none. */
export function effortNamed(value: unknown): EffortName | null {
  return effortNames.find((name) => name === value) ?? null;
}

/** What an effort sets for a recipe: it lies over the values of the preset and under those that are given. */
export function effortValues(effort: EffortName, recipe: RecipeName, given: UntypedOptions): UntypedOptions {
  if (effort === "normal") return {};
  return withoutFinishOf(given, mergeOptions(text[effort], recipeOf(recipe).efforts?.[effort] ?? {}));
}

/** The options that some effort sets for a recipe, by dotted name. */
export function effortOptions(recipe: RecipeName): readonly string[] {
  const entries = effortNames.flatMap((name) => optionEntries(effortValues(name, recipe, {})));
  return [...new Set(entries.map(([name]) => name))];
}

/** Options with one value, at a dotted name. */
export function optionGroup(name: string, value: unknown): UntypedOptions {
  return name.split(".").reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as UntypedOptions;
}

/** The effort of a run that names none: a preset that is asked for keeps its values, and a CPU has no hours to spend. */
export function defaultEffort(device: Device, preset: PresetName): EffortName {
  return device === "cpu" && preset === defaultPreset ? "quick" : "normal";
}

/** Without the end-to-end stage where the user says something of it: who sets its epochs wants it. */
export function withoutFinishOf(given: UntypedOptions, values: UntypedOptions): UntypedOptions {
  if (optionValue(given, "endToEnd") === undefined) return values;
  const { finish: _, ...others } = values;
  return others;
}
