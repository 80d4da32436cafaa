import { OptionError } from "../../errors.js";
import { type RecipeName, recipeNames, recipeOf } from "../../recipe/job/recipe-names.js";
import { withRotation, withText } from "../../recipe/options/conditions.js";
import { optionEntries, type UntypedOptions } from "../../recipe/options/merge-options.js";
import { type OptionReader, readersBy, readersOf } from "../../recipe/options/option-readers.js";
import { type ReadCondition, type ReaderContext, when } from "../../recipe/options/reading.js";
import { withSelfGenerated } from "./calibration-option.js";
import { imageOptions } from "./graph/image-options.js";
import { ofGraph } from "./graph/is-graph.js";
import { samplingOptions, withSampler } from "./graph/sampler-options.js";
import type { GivenOptions } from "./options.js";
import { listed } from "./parse/listed.js";
import { needsText } from "./text/default-text.js";

/** Who reads the options of a run that not every run reads; those of the algorithms have a table of their own. */
const readers: Readonly<Record<string, readonly OptionReader[]>> = {
  effort: readersBy(() => when(withText)),
  time: readersBy(() => when(withText)),
  samples: readersBy(() => when(withText)),
  context: readersBy(() => when(withText)),
  ...Object.fromEntries(
    ["temperature", "greedy", "scripts", "batch"].map((name) => [
      `selfGenerated.${name}`,
      readersBy(() => when(withSelfGenerated)),
    ]),
  ),
  ...Object.fromEntries(
    Object.keys(imageOptions.unwrap().shape).map((name) => [`images.${name}`, readersBy(() => when(ofGraph))]),
  ),
  sampler: readersBy(() => when(ofGraph)),
  ...Object.fromEntries(
    ["steps", "samplesGrid", ...Object.keys(samplingOptions.unwrap().shape).map((name) => `sampling.${name}`)].map(
      (name) => [name, readersBy(() => when(ofGraph, withSampler))],
    ),
  ),
  // Draws the calibration sequences, the order of training and the rotation.
  seed: readersBy(() => [[withText], [withRotation]]),
  "streams.storage": readersBy(() => when(withText)),
  "compute.gradients": readersBy(({ training, trainsLinears }) => (trainsLinears === false ? null : training) ?? []),
};

/** What decides who reads the options of a run. */
export function readerContext(
  options: GivenOptions,
  scheme: { readonly activationBits: number; readonly symmetric: boolean },
): ReaderContext {
  const recipe = recipeOf(options.recipe);
  const { activationBits, symmetric } = scheme;
  return {
    recipe,
    options,
    activationBits,
    symmetric,
    hasText: options.calibration.length > 0 || needsText(options, scheme),
  };
}

/** Whether an option can change anything in such a run; true for those that every run reads. */
export function mayBeRead(name: string, context: ReaderContext): boolean {
  const found = readersOfOption(name);
  const fulfilled = (condition: ReadCondition): boolean => (condition.mayHold ?? condition.holds)(context);
  return (
    found === null ||
    found.some(({ recipes, conditions }) => recipes.includes(context.recipe.name) && conditions.every(fulfilled))
  );
}

/**
 * Refuses options that are given and that nothing would read.
 *
 * @throws OptionError that names the option, the recipes that read it, and what they need for it
 */
export function assertRead(given: UntypedOptions, context: ReaderContext, preset: GivenOptions["preset"]): void {
  const { recipe } = context;
  if (recipe.presets[preset] === undefined) {
    const having = recipeNames.filter((name) => recipeOf(name).presets[preset] !== undefined);
    throw unread("preset", having, `"${preset}" has no values for the recipe ${recipe.name}`);
  }
  for (const [name] of optionEntries(given)) {
    const found = readersOfOption(name);
    if (found === null) continue;
    const own = found.filter(({ recipes }) => recipes.includes(recipe.name));
    if (own.length === 0) throw unread(name, recipesOf(found), `the recipe ${recipe.name} does not read it`);
    const missing = own.map(({ conditions }) => conditions.filter((condition) => !condition.holds(context)));
    if (missing.some((conditions) => conditions.length === 0)) continue;
    throw new OptionError({
      where: `option "${name}"`,
      what: `the recipe ${recipe.name} reads it only with ${either(missing.map(textOf))}`,
      next: `leave it out, or ${either(missing.map((conditions) => conditions.map(({ action }) => action).join(" and ")))}`,
    });
  }
}

/** Whether a recipe reads an option, under some conditions or always. */
export function isReadBy(name: string, recipe: RecipeName): boolean {
  return readersOfOption(name)?.some(({ recipes }) => recipes.includes(recipe)) ?? true;
}

/**
 * Who reads an option, for help: "cbq with rounding.kind=lora"; null for what every run reads.
 *
 * @param recipe says only under which conditions this one reads it
 */
export function readersText(name: string, recipe: RecipeName | null = null): string | null {
  if (name === "preset") return null;
  if (recipe !== null) {
    const own = (readersOfOption(name) ?? []).filter(({ recipes }) => recipes.includes(recipe));
    const always = own.length === 0 || own.some(({ conditions }) => conditions.length === 0);
    return always ? null : `with ${either(own.map(({ conditions }) => textOf(conditions)))}`;
  }
  const found = readersOfOption(name) ?? [];
  if (found.every(({ recipes, conditions }) => recipes.length === recipeNames.length && conditions.length === 0)) {
    return null;
  }
  return found
    .map(({ recipes, conditions }) => {
      const who = recipes.length === recipeNames.length ? "" : recipes.join(", ");
      return [who, conditions.length === 0 ? "" : `with ${textOf(conditions)}`].filter((part) => part !== "").join(" ");
    })
    .join("; ");
}

function readersOfOption(name: string): readonly OptionReader[] | null {
  return readers[name] ?? readersOf(name);
}

function unread(name: string, others: readonly string[], what: string): OptionError {
  return new OptionError({
    where: `option "${name}"`,
    what,
    why: `it is for ${listed(others, "and")}`,
    next: `leave it out, or use --recipe ${listed(others, "or")}`,
  });
}

function recipesOf(found: readonly OptionReader[]): string[] {
  return recipeNames.filter((name) => found.some(({ recipes }) => recipes.includes(name)));
}

function textOf(conditions: readonly ReadCondition[]): string {
  return conditions.map(({ text }) => text).join(" and ");
}

function either(ways: readonly string[]): string {
  return [...new Set(ways)].join(", or ");
}
