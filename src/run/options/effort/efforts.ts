import { type RecipeName, recipeOf } from "../../../recipe/job/recipe-names.js";
import { type EffortName, effortNames } from "../../../recipe/options/efforts.js";
import {
  mergeOptions,
  optionEntries,
  optionValue,
  type UntypedOptions,
} from "../../../recipe/options/merge-options.js";
import { defaultPreset, type PresetName, presetNames } from "../../../recipe/options/presets.js";
import type { Device } from "../../../tensor/index.js";
import { isGraph } from "../graph/is-graph.js";

/**
 * How much text each effort takes, whatever the recipe; what it trains with it stands beside the recipe (`efforts`). `normal`
 * is what the schema and the recipe's preset say.
 */
const text: Readonly<Record<Exclude<EffortName, "normal">, UntypedOptions>> = {
  quick: { samples: 22, context: 1024 },
  best: { samples: 512 },
};

/** The same of examples for a graph. */
const examples: typeof text = { quick: { samples: 128 }, best: { samples: 1024 } };

/** Who chose the effort of a run: the user, the device that it runs on, or the time that it was given. */
export type EffortChoice = "given" | "device" | "time";

/** The effort that a string names; null for none. */
export function effortNamed(value: unknown): EffortName | null {
  return effortNames.find((name) => name === value) ?? null;
}

/**
 * What an effort sets for a recipe, under the values that are given. How much text and how many passes over it there are lies over
 * the preset; in everything else a preset keeps what it sets: the paper's windows overlap at every effort.
 */
export function effortValues(effort: EffortName, recipe: RecipeName, given: UntypedOptions): UntypedOptions {
  if (effort === "normal") return {};
  const { presets, efforts } = recipeOf(recipe);
  const preset = presets[presetNames.find((name) => name === given["preset"]) ?? defaultPreset] ?? {};
  const amounts = (isGraph(given) ? examples : text)[effort];
  const entries = optionEntries(mergeOptions(amounts, efforts?.[effort] ?? {}));
  const set = entries.filter(([name]) => isAmount(name) || optionValue(preset, name) === undefined);
  return withoutFinishOf(given, mergeOptions(...set.map(([name, value]) => optionGroup(name, value))));
}

/** Whether an option says how much text there is, or how often it is passed over. */
export function isAmount(name: string): boolean {
  return name === "samples" || name === "context" || name.endsWith(".epochs");
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
