import { z } from "zod";

/** One option as help shows it. */
export interface OptionLine {
  /** Its name for `--set` and in a configuration file: `window.size`. */
  readonly name: string;
  /** What it takes: `number`, `true|false`, `plain|token`. */
  readonly type: string;
  /** The names that it takes, where it takes one or several of a few. */
  readonly choices: readonly string[] | null;
  readonly help: string;
  /** Its default as JSON; null when it is required. */
  readonly defaultValue: string | null;
}

/** The options of a schema, nested ones by their dotted names. */
export function optionLines(schema: z.ZodType, prefix = ""): readonly OptionLine[] {
  const object = unwrapped(schema);
  if (!(object instanceof z.ZodObject)) return [];
  return Object.entries(object.shape as Record<string, z.ZodType>).flatMap(([key, child]) => {
    const name = prefix === "" ? key : `${prefix}.${key}`;
    if (unwrapped(child) instanceof z.ZodObject) return optionLines(child, name);
    const value = child.safeParse(undefined);
    return [
      {
        name,
        type: typeName(child),
        choices: choicesOf(child),
        help: child.description ?? "",
        defaultValue: value.success ? JSON.stringify(value.data) : null,
      },
    ];
  });
}

/** Keys under `prefix` (all dotted names when it is null), or null where the option is no group. */
export function optionKeys(schema: z.ZodType, prefix: string | null): readonly string[] | null {
  if (prefix === null) return optionLines(schema).map((line) => line.name);
  const at = prefix === "" ? schema : optionAt(schema, prefix.split("."));
  const object = at === null ? null : unwrapped(at);
  return object instanceof z.ZodObject ? Object.keys(object.shape) : null;
}

/** The schema of the option at a path, null when there is none. */
export function optionAt(schema: z.ZodType, path: readonly string[]): z.ZodType | null {
  let at: z.ZodType = schema;
  for (const key of path) {
    const parent = unwrapped(at);
    if (parent instanceof z.ZodArray) {
      at = parent.element as z.ZodType;
    } else if (parent instanceof z.ZodObject && key in parent.shape) {
      at = (parent.shape as Record<string, z.ZodType>)[key] as z.ZodType;
    } else {
      return null;
    }
  }
  return at;
}

/** The names that an enumerated option takes, null for any other. */
export function acceptedValues(schema: z.ZodType | null): readonly string[] | null {
  const inner = schema === null ? null : unwrapped(schema);
  if (inner instanceof z.ZodEnum) return inner.options.map(String);
  return inner instanceof z.ZodBoolean ? ["true", "false"] : null;
}

/** What stands in a list, also in one that takes a single value in its place; null for what is no list. */
export function elementOf(schema: z.ZodType): z.ZodType | null {
  const inner = unwrapped(schema);
  return inner instanceof z.ZodArray ? (inner.element as z.ZodType) : null;
}

function choicesOf(schema: z.ZodType): readonly string[] | null {
  const inner = elementOf(schema) ?? unwrapped(schema);
  return inner instanceof z.ZodEnum ? inner.options.map(String) : null;
}

function unwrapped(schema: z.ZodType): z.ZodType {
  let at = schema;
  while (
    at instanceof z.ZodDefault ||
    at instanceof z.ZodPrefault ||
    at instanceof z.ZodNullable ||
    at instanceof z.ZodReadonly ||
    at instanceof z.ZodOptional
  ) {
    at = at.unwrap() as z.ZodType;
  }
  // A list that takes a single value too (`oneOrMany`) is a list.
  const [first] = at instanceof z.ZodUnion ? (at.options as readonly z.ZodType[]) : [];
  return first instanceof z.ZodArray ? first : at;
}

function typeName(schema: z.ZodType): string {
  const inner = unwrapped(schema);
  const nullable = schema.safeParse(null).success ? "|null" : "";
  if (inner instanceof z.ZodArray) {
    const element = inner.element as z.ZodType;
    const braces = element instanceof z.ZodObject;
    return braces ? `[{${Object.keys(element.shape).join(", ")}}]` : `[${typeName(element)}]`;
  }
  return `${acceptedValues(inner)?.join("|") ?? (inner instanceof z.ZodNumber ? "number" : "text")}${nullable}`;
}
