import type { RecipeName } from "../../recipe/job/recipe-names.js";
import { readersText } from "../../run/options/option-use.js";
import { otherDefaults } from "../../run/options/other-defaults.js";
import type { OptionLine } from "../../run/options/parse/option-tree.js";
import { flags } from "./flags.js";

/** What decides the values that help shows, where a recipe was chosen. */
export interface ChosenRecipe {
  readonly recipe: RecipeName;
  /** Its default of an option, as JSON; undefined where that is the schema's. */
  defaultOf(name: string): string | undefined;
}

/**
 * What help says of an option: what it means, what it takes, its default, and who reads it where not every run does.
 *
 * @param chosen shows the defaults and conditions of one recipe, in place of those of all
 */
export function optionText(line: OptionLine, chosen: ChosenRecipe | null = null): string {
  const readers = readersText(line.name, chosen?.recipe ?? null);
  const facts = [...choicesOf(line), ...defaultOf(line, chosen)];
  return [line.help, facts.length === 0 ? "" : `(${facts.join("; ")})`, readers === null ? "" : `[${readers}]`]
    .filter((part) => part !== "")
    .join(" ");
}

function choicesOf({ choices }: OptionLine): readonly string[] {
  return choices === null ? [] : [`choices: ${choices.join(", ")}`];
}

function defaultOf({ name, defaultValue }: OptionLine, chosen: ChosenRecipe | null): readonly string[] {
  if (defaultValue === null) return ["required"];
  const own = chosen?.defaultOf(name) ?? defaultValue;
  const flag = flags[name]?.flag;
  // A flag that switches something off describes what then happens; the option itself is on by default.
  if (flag !== undefined && (own === "false" || flag.startsWith("--no-"))) return [];
  const others = otherDefaults(name, own, chosen?.recipe ?? null);
  return [`default: ${shown(own)}`, ...others];
}

function shown(json: string): string {
  const plain = /^"([^" ]+)"$/.exec(json);
  return plain?.[1] ?? json;
}
