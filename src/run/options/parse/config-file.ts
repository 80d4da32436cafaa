import { readFile } from "node:fs/promises";
import stripJsonComments from "strip-json-comments";
import { OptionError } from "../../../errors.js";
import type { UntypedOptions } from "../options.js";

/**
 * Reads options from a JSON file; comments and trailing commas are allowed, and `$schema` beside the options.
 *
 * @throws OptionError when the file is missing, is no JSON (with the line) or holds no object.
 */
export async function readConfigFile(file: string): Promise<UntypedOptions> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    throw new OptionError({
      where: file,
      what: "the configuration file can't be read",
      why: cause instanceof Error ? cause.message : String(cause),
      next: "check the path after --config",
      cause,
    });
  }
  let value: unknown;
  try {
    value = JSON.parse(stripJsonComments(text.replace(/^\uFEFF/, ""), { trailingCommas: true }));
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    const position = /position (\d+)/.exec(message);
    const line = position === null ? "" : `:${text.slice(0, Number(position[1])).split("\n").length}`;
    throw new OptionError({ where: `${file}${line}`, what: "is no JSON", why: message, next: "mend that line", cause });
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new OptionError({
      where: file,
      what: "holds no object of options",
      next: 'write options by name: { "scheme": "W2A16g64", "window": { "epochs": 5 } }',
    });
  }
  // `$schema` tells an editor what may stand in the file, and a run nothing.
  const { $schema: _, ...options } = value as UntypedOptions;
  return options;
}

/**
 * Turns the `key=value` pairs of `--set` into nested options. Values are read as JSON, else as text.
 *
 * @throws OptionError for a pair without `=` or a key without a name.
 */
export function parseAssignments(pairs: readonly string[]): UntypedOptions {
  const result: Record<string, unknown> = {};
  for (const pair of pairs) {
    const equals = pair.indexOf("=");
    const keys = pair.slice(0, Math.max(0, equals)).trim().split(".");
    if (keys.some((key) => !/^[A-Za-z0-9]+$/.test(key))) {
      throw new OptionError({
        where: `--set ${pair}`,
        what: "is no assignment of an option",
        next: "write key=value, as in --set window.size=2",
      });
    }
    let target = result;
    for (const key of keys.slice(0, -1)) {
      const below = Object.hasOwn(target, key) ? target[key] : undefined;
      const group: Record<string, unknown> = below !== null && typeof below === "object" ? { ...below } : {};
      target[key] = group;
      target = group;
    }
    target[keys.at(-1) ?? ""] = parseValue(pair.slice(equals + 1).trim());
  }
  return result;
}

function parseValue(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
