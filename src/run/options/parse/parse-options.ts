import type { z } from "zod";
import { OptionError } from "../../../errors.js";
import { isOptionGroup, type UntypedOptions } from "../../../recipe/options/merge-options.js";
import { nearestName } from "./nearest-name.js";
import { acceptedValues, optionAt, optionKeys } from "./option-tree.js";

export type { UntypedOptions } from "../../../recipe/options/merge-options.js";

/** Options that the command line takes as an argument and not as a flag. */
const positional: ReadonlySet<string> = new Set(["model", "result", "repository"]);

/**
 * Checks options against a schema and fills its defaults.
 *
 * @param given what the user wrote of them, for the error
 * @throws OptionError that names the option, and the nearest valid value
 */
export function parseOptions<T extends z.ZodType>(
  schema: T,
  options: UntypedOptions,
  given: UntypedOptions = options,
): z.output<T> {
  const parsed = schema.safeParse(options);
  if (parsed.success) return parsed.data;
  throw fromIssue(schema, parsed.error.issues[0], given);
}

/** @throws OptionError for a key that the schema does not have, naming the nearest that it has */
export function rejectUnknownKeys(schema: z.ZodType, value: UntypedOptions, prefix = ""): void {
  const known = optionKeys(schema, prefix);
  if (known === null) return;
  for (const [key, entry] of Object.entries(value)) {
    const name = prefix === "" ? key : `${prefix}.${key}`;
    if (!known.includes(key)) throw unknownKey(schema, name, key, known, prefix);
    if (isOptionGroup(entry)) rejectUnknownKeys(schema, entry, name);
  }
}

function unknownKey(
  schema: z.ZodType,
  name: string,
  key: string,
  known: readonly string[],
  prefix: string,
): OptionError {
  // The right name in the wrong place comes first: "epochs" means "window.epochs".
  const everywhere = optionKeys(schema, null) ?? [];
  const moved = everywhere.find((candidate) => candidate.split(".").at(-1) === key);
  const sibling = nearestName(key, known);
  const nearest = moved ?? (sibling === null || prefix === "" ? sibling : `${prefix}.${sibling}`);
  return new OptionError({
    where: `option "${name}"`,
    what: "is no option of crossblock",
    next: nearest === null ? "see `crossblock quantize --help`" : `did you mean "${nearest}"? See --help for all`,
  });
}

type Issue = z.core.$ZodIssue;

function fromIssue(schema: z.ZodType, found: Issue | undefined, given: UntypedOptions): OptionError {
  const issue = innermost(found, given);
  const path = (issue?.path ?? []).map(String);
  const name = path.join(".");
  if (issue?.code === "unrecognized_keys") {
    const key = issue.keys[0] ?? "";
    return unknownKey(schema, [...path, key].join("."), key, ["pattern", "bits", "group", "skip"], name);
  }
  const value = valueAt(given, path);
  if (issue?.code === "custom") {
    const next: unknown = issue.params?.["next"];
    const what = `${shown(value)} does not fit: ${issue.message}`;
    return new OptionError({ where: `option "${name}"`, what, next: typeof next === "string" ? next : LEFT_OUT });
  }
  if (value === undefined) {
    if (path.length > 1) {
      return new OptionError({
        where: `option "${name}"`,
        what: "is required",
        next: `add ${JSON.stringify(path.at(-1))} to ${path.slice(0, -1).join(".")}`,
      });
    }
    const flag = positional.has(name) ? `the ${name.toUpperCase()} argument` : `--${name}`;
    return new OptionError({ where: `option "${name}"`, what: "is required", next: `give ${flag}` });
  }
  if (issue?.code === "invalid_type" && issue.expected === "array") {
    const text = String(value).replace(/^\[|\]$/g, "");
    // What has more brackets was meant as JSON, and is none.
    const list = /[[\]{}]/.test(text) || text.length > LONGEST_SHOWN ? null : JSON.stringify([text]);
    return new OptionError({
      where: `option "${name}"`,
      what: `${shown(value)} is no list`,
      next:
        list === null
          ? `write it as JSON, with the same number of opening and closing brackets; in a shell with quotes around it: --set '${name}=[...]'`
          : `give ${list}; in a shell with quotes around it: --set '${name}=${list}'`,
    });
  }
  const accepted =
    acceptedValues(optionAt(schema, path)) ?? (issue?.code === "invalid_value" ? issue.values.map(String) : null);
  const near = typeof value === "string" && accepted !== null ? nearestName(value, accepted) : null;
  const named = issue?.code === "invalid_value" && accepted !== null;
  const fits = accepted?.join(", ") ?? fitting(issue);
  return new OptionError({
    // One of a list is named by the list's name: its place in it says nothing to who wrote it in a shell.
    where: `option "${path.filter((key) => !/^\d+$/.test(key)).join(".")}"`,
    what: named
      ? `${shown(value)} is none of ${accepted.join(", ")}`
      : `${shown(value)} does not fit: ${issue?.message ?? "invalid"}`,
    next: near !== null ? `did you mean "${near}"?` : fits === null ? LEFT_OUT : `give ${fits}`,
  });
}

/** Characters of a value that a message repeats. */
const LONGEST_SHOWN = 200;

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "undefined";
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}...` : text;
}

/** What always works: every option that is not required has a default. */
const LEFT_OUT = "leave it out, which takes its default; --help says what it means";

/** What would be accepted in the place of what was given; null where the schema can't say it in a few words. */
function fitting(issue: Issue | undefined): string | null {
  switch (issue?.code) {
    case "too_small":
      if (issue.origin === "string") return "at least one character";
      if (issue.origin === "array") return `a list of ${issue.minimum} or more`;
      return issue.inclusive === true ? `${issue.minimum} or more` : `a number above ${issue.minimum}`;
    case "too_big":
      return issue.inclusive === true ? `${issue.maximum} or less` : `a number below ${issue.maximum}`;
    case "invalid_value":
      return issue.values.join(", ");
    case "invalid_union": {
      const ways = issue.errors.flatMap(([first]) => fitting(first) ?? []);
      return ways.length === 0 ? null : [...new Set(ways)].join(", or ");
    }
    case "invalid_type":
      return expectedTypes[issue.expected] ?? null;
    default:
      return null;
  }
}

const expectedTypes: Readonly<Record<string, string>> = {
  number: "a number, as digits",
  int: "a whole number, as digits",
  string: "text (in a file after --config in quotes)",
  object: "its settings one by one: --set name.setting=value, or an object in a file after --config",
};

/** What is wrong with a list that a single value may stand for, or with that value: the alternative that was meant. */
function innermost(issue: Issue | undefined, given: UntypedOptions): Issue | undefined {
  if (issue?.code !== "invalid_union") return issue;
  const [ofList = [], ofSingle] = issue.errors;
  const isList = Array.isArray(valueAt(given, issue.path));
  if (!isList && !(ofList[0]?.code === "invalid_type" && ofList[0].expected === "array")) return issue;
  const [inner] = (isList ? ofList : ofSingle) ?? [];
  return inner === undefined ? issue : innermost({ ...inner, path: [...issue.path, ...inner.path] }, given);
}

function valueAt(options: UntypedOptions, path: readonly PropertyKey[]): unknown {
  let value: unknown = options;
  for (const key of path) value = isOptionGroup(value) || Array.isArray(value) ? Reflect.get(value, key) : undefined;
  return value;
}
