import { type Command, Option } from "commander";
import type { z } from "zod";
import { recipeNames, recipeOf } from "../recipe/job/recipe-names.js";
import { readersText } from "../run/options/option-use.js";
import { runOptionsSchema, type UntypedOptions } from "../run/options/options.js";
import { otherDefaults } from "../run/options/other-defaults.js";
import { type OptionLine, optionLines } from "../run/options/parse/option-tree.js";

/** Flags whose spelling is a contract; what they mean and default to comes from the schema. */
const flags: Readonly<Record<string, string>> = {
  revision: "--revision <name>",
  scheme: "--scheme <name>",
  asym: "--asym",
  recipe: "--recipe <name>",
  preset: "--preset <name>",
  bitsBudget: "--bits-budget <bits>",
  effort: "--effort <name>",
  time: "--time <duration>",
  calibration: "--calibration <paths...>",
  samples: "--samples <n>",
  context: "--context <n>",
  seed: "--seed <n>",
  deterministic: "--deterministic",
  out: "--out <folder>",
  format: "--format <names...>",
  ggufEmbedding: "--gguf-embedding <type>",
  ggufOutput: "--gguf-output <type>",
  reencode: "--reencode",
  onnxPrecision: "--onnx-precision <name>",
  onnxAccuracy: "--onnx-accuracy <name>",
  export: "--export <paths...>",
  model: "--model <folder>",
  private: "--private",
  message: "--message <text>",
  unchecked: "--unchecked",
  runtimes: "--no-runtimes",
  project: "--project <folder>",
  device: "--device <device>",
  finish: "--finish <stage>",
  maxMemory: "--max-memory <size>",
  work: "--work <folder>",
  fresh: "--fresh",
  force: "--force",
  score: "--no-score",
  report: "--no-report",
  dryRun: "--dry-run",
};

/** Adds the flags of a schema's options to a command. */
export function addOptionFlags(command: Command, schema: z.ZodType): void {
  for (const line of optionLines(schema)) {
    const flag = flags[line.name];
    // What is an argument of the command is no flag of it.
    if (flag === undefined || command.registeredArguments.some((argument) => argument.name() === line.name)) continue;
    const option = new Option(flag, describeFlag(line));
    if (line.type.startsWith("number")) option.argParser(numberOrText);
    else if (line.type.endsWith("|null")) option.argParser((text: string) => (text === "null" ? null : text));
    command.addOption(option);
  }
}

/** The options that were given as flags, by the schema's names. */
export function givenFlags(values: Readonly<Record<string, unknown>>): UntypedOptions {
  const entries = Object.entries(values).filter(([name, value]) => name in flags && value !== undefined);
  // `--format a,b` is what one types; the schema has a list.
  const split = (value: unknown): unknown =>
    Array.isArray(value) ? value.flatMap((v: string) => v.split(",")) : value;
  return Object.fromEntries(entries.map(([name, value]) => [name, name === "format" ? split(value) : value]));
}

/** The options that have no flag, as help lists them for `--set` and `--config`. */
export function settingsHelp(): string {
  const lines = optionLines(runOptionsSchema).filter((line) => !(line.name in flags) && line.name !== "model");
  const width = Math.max(...lines.map((line) => line.name.length));
  const text = lines.map((line) => `  ${line.name.padEnd(width)}  ${describe(line)} <${line.type}>${readBy(line)}`);
  const names = Math.max(...recipeNames.map((name) => name.length));
  return [
    "",
    "Recipes, for --recipe:",
    ...recipeNames.map((name) => `  ${name.padEnd(names)}  ${recipeOf(name).title} (${recipeOf(name).paper})`),
    "",
    "Settings, for --set name=value and for the file after --config; in brackets who reads them, where not every run does:",
    ...text,
    "",
    "A file may hold options of several recipes: what stands under recipes.gptq counts with --recipe gptq only.",
    "",
  ].join("\n");
}

function describeFlag(line: OptionLine): string {
  const named = /^[\w-]+(\|[\w-]+)+$/.test(line.type) && !/^(true|text|number)\b/.test(line.type);
  const choices = named ? ` <${line.type}>` : "";
  return `${describe(line)}${choices}${readBy(line)}`;
}

function describe({ name, help, defaultValue }: OptionLine): string {
  if (defaultValue === null) return `${help} (required)`;
  // A flag that switches something off describes what then happens; the option itself is on by default.
  const switches = defaultValue === "false" || flags[name]?.startsWith("--no-") === true;
  if (switches && name in flags) return help;
  return `${help} (${[`default: ${defaultValue}`, ...otherDefaults(name, defaultValue)].join("; ")})`;
}

function readBy({ name }: OptionLine): string {
  const readers = readersText(name);
  return readers === null ? "" : ` [${readers}]`;
}

// What is no number stays as it is, so that the schema can name it in its error.
function numberOrText(text: string): number | string {
  return text.trim() === "" || Number.isNaN(Number(text)) ? text : Number(text);
}
