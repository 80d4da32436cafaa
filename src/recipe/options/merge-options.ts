/** Options that are not typed: a parsed file, `--set`, what a caller left out or misspelt. */
export type UntypedOptions = Readonly<Record<string, unknown>>;

/** Whether a value is a group of options rather than the value of one. */
export function isOptionGroup(value: unknown): value is UntypedOptions {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** Lays options over others, group by group; `undefined` counts as left out. */
export function mergeOptions(...layers: readonly UntypedOptions[]): UntypedOptions {
  return layers.reduce(merge, {});
}

/** The value at a dotted name; undefined where there is none. */
export function optionValue(options: UntypedOptions, name: string): unknown {
  let value: unknown = options;
  for (const key of name.split(".")) value = isOptionGroup(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  return value;
}

/** The options that are there, by dotted name. */
export function optionEntries(
  options: UntypedOptions,
  prefix = "",
): readonly (readonly [name: string, value: unknown])[] {
  return Object.entries(options).flatMap(([key, value]) => {
    const name = prefix === "" ? key : `${prefix}.${key}`;
    if (isOptionGroup(value)) return optionEntries(value, name);
    return value === undefined ? [] : [[name, value] as const];
  });
}

function merge(under: UntypedOptions, over: UntypedOptions): UntypedOptions {
  const result: Record<string, unknown> = { ...under };
  for (const [key, value] of Object.entries(over)) {
    if (value === undefined) continue;
    const below = Object.hasOwn(result, key) ? result[key] : undefined;
    const merged = isOptionGroup(below) && isOptionGroup(value) ? merge(below, value) : value;
    // Assigning to `__proto__`, which a file may name, would hide it from the check for unknown options.
    Object.defineProperty(result, key, { value: merged, enumerable: true, writable: true, configurable: true });
  }
  return result;
}
