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

function fromIssue(schema: z.ZodType, issue: Issue | undefined, given: UntypedOptions): OptionError {
  const path = (issue?.path ?? []).map(String);
  const name = path.join(".");
  if (issue?.code === "unrecognized_keys") {
    const key = issue.keys[0] ?? "";
    return unknownKey(schema, [...path, key].join("."), key, ["pattern", "bits", "group", "skip"], name);
  }
  let value: unknown = given;
  for (const key of path) value = isOptionGroup(value) || Array.isArray(value) ? Reflect.get(value, key) : undefined;
  if (issue?.code === "custom") {
    const next: unknown = issue.params?.["next"];
    const what = `${JSON.stringify(value)} does not fit: ${issue.message}`;
    return new OptionError({ where: `option "${name}"`, what, next: typeof next === "string" ? next : "change it" });
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
    const list = JSON.stringify([String(value).replace(/^\[|\]$/g, "")]);
    return new OptionError({
      where: `option "${name}"`,
      what: `${JSON.stringify(value)} is no list`,
      next: `give ${list}; in a shell with quotes around it: --set '${name}=${list}'`,
    });
  }
  const accepted = acceptedValues(optionAt(schema, path));
  const near = typeof value === "string" && accepted !== null ? nearestName(value, accepted) : null;
  const named = issue?.code === "invalid_value" && accepted !== null;
  return new OptionError({
    // One of a list is named by the list's name: its place in it says nothing to who wrote it in a shell.
    where: `option "${path.filter((key) => !/^\d+$/.test(key)).join(".")}"`,
    what: named
      ? `${JSON.stringify(value)} is none of ${accepted.join(", ")}`
      : `${JSON.stringify(value)} does not fit: ${issue?.message ?? "invalid"}`,
    next: near !== null ? `did you mean "${near}"?` : `give ${accepted?.join(", ") ?? "a value that fits"}`,
  });
}
