import { type Command, Option } from "commander";
import type { z } from "zod";
import type { UntypedOptions } from "../../run/options/options.js";
import { type OptionLine, optionLines } from "../../run/options/parse/option-tree.js";
import { flags, helpGroups } from "./flags.js";
import { optionText } from "./option-text.js";

/** Adds the flags of a schema's options to a command, by the groups of its help. */
export function addOptionFlags(command: Command, schema: z.ZodType): Command {
  const lines = optionLines(schema);
  for (const group of helpGroups) {
    for (const line of lines) {
      const flag = flags[line.name];
      // What is an argument of the command is no flag of it.
      if (flag?.group !== group || command.registeredArguments.some((argument) => argument.name() === line.name))
        continue;
      command.addOption(optionOf(line, flag.flag).helpGroup(`${group}:`));
    }
  }
  return command;
}

/** The options that were given as flags, by the schema's names. */
export function givenFlags(values: Readonly<Record<string, unknown>>): UntypedOptions {
  const entries = Object.entries(values).filter(([name, value]) => name in flags && value !== undefined);
  return Object.fromEntries(
    entries.map(([name, value]) => [name, Array.isArray(value) ? oneOrMany(name, value) : value]),
  );
}

// `--format a,b` is what one types; the schema has a list. A single one is named in errors without its place in a list.
function oneOrMany(name: string, values: readonly string[]): unknown {
  const all = name === "format" ? values.flatMap((value) => value.split(",")) : values;
  return all.length === 1 ? all[0] : all;
}

function optionOf(line: OptionLine, flag: string): Option {
  const option = new Option(flag, optionText(line));
  if (line.type.startsWith("number")) option.argParser(numberOrText);
  else if (line.type.endsWith("|null")) option.argParser(nullOrText);
  return option;
}

function nullOrText(text: string): string | null {
  return text === "null" ? null : text;
}

// What is no number stays as it is, so that the schema can name it in its error.
function numberOrText(text: string): number | string | null {
  return text.trim() === "" || Number.isNaN(Number(text)) ? nullOrText(text) : Number(text);
}
