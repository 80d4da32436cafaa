import { OptionError } from "../../errors.js";
import type { LayerPlan, UnitPlan } from "../../network/index.js";
import { groupColumns, type Scheme } from "../../quant/scheme.js";
import type { Override } from "../options/shared/overrides.js";

/** The scheme of every Linear of the network by module name; null for those left in full precision. */
export type LayerSchemes = ReadonlyMap<string, Scheme | null>;

/**
 * Resolves overrides; the last whose pattern matches wins.
 *
 * @param allocation bits of Linears by module name, for those that no override gives some
 * @throws OptionError for a pattern that matches no Linear, or a group that does not divide a width.
 */
export function resolveSchemes(
  units: readonly Pick<UnitPlan, "layers">[],
  scheme: Scheme,
  overrides: readonly Override[],
  allocation: ReadonlyMap<string, number> = new Map(),
): LayerSchemes {
  const linears = units.flatMap(({ layers }) => layers);
  for (const { pattern } of overrides) {
    if (!linears.some(({ module }) => matches(pattern, module))) {
      throw new OptionError({
        where: `overrides: "${pattern}"`,
        what: "matches no Linear of this model",
        next: `use names like ${linears[0]?.module}, with * for any characters`,
      });
    }
  }
  const widths = (pattern: string): readonly number[] => {
    const named = linears.filter(({ module }) => pattern === "" || matches(pattern, module));
    return [...new Set(named.map(({ columns }) => columns))];
  };
  return new Map(
    linears.map((linear) => [
      linear.module,
      keepsPrecision(linear, linears, overrides)
        ? null
        : resolve(linear, { ...scheme, bits: allocation.get(linear.module) ?? scheme.bits }, overrides, widths),
    ]),
  );
}

// A pattern that matches other Linears as well does not mean those that are protected.
function keepsPrecision(linear: LayerPlan, linears: readonly LayerPlan[], overrides: readonly Override[]): boolean {
  if (linear.protectedAs === undefined) return false;
  const means = ({ pattern, skip }: Override): boolean =>
    skip !== true &&
    matches(pattern, linear.module) &&
    linears.every(({ module, protectedAs }) => protectedAs !== undefined || !matches(pattern, module));
  return !overrides.some(means);
}

/** The bits that an override gives a Linear; null where none does. */
export function pinnedBits(module: string, overrides: readonly Override[]): number | null {
  return overrides.filter(({ pattern }) => matches(pattern, module)).at(-1)?.bits ?? null;
}

function resolve(
  { module, columns, readsInput }: LayerPlan,
  scheme: Scheme,
  overrides: readonly Override[],
  widths: (pattern: string) => readonly number[],
): Scheme | null {
  const override = overrides.filter(({ pattern }) => matches(pattern, module)).at(-1);
  if (override?.skip === true) return null;
  const { bits = scheme.bits, group, inputBits } = override ?? {};
  const activationBits = inputBits ?? (readsInput === true ? 16 : scheme.activationBits);
  const groupSize = group === undefined ? scheme.groupSize : group === "channel" ? null : group;
  const resolved = { ...scheme, bits, groupSize, activationBits };
  // The group of an override is for it to change, and has to fit the Linears that it names.
  if (override?.group === undefined) groupColumns(resolved, columns, module, widths(""));
  else {
    const advise = (nearest: number): string =>
      `give the override "${override.pattern}" group ${nearest}, or "channel"`;
    groupColumns(resolved, columns, module, widths(override.pattern), advise);
  }
  return resolved;
}

// By hand, part after part as early as it comes: a regular expression of many stars would take exponential time.
function matches(pattern: string, name: string): boolean {
  const [first = "", ...parts] = pattern.split("*");
  const last = parts.pop();
  if (last === undefined) return name === first;
  if (!name.startsWith(first)) return false;
  let at = first.length;
  for (const part of parts) {
    const found = name.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return name.length - last.length >= at && name.endsWith(last);
}
