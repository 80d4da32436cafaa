import { OptionError } from "../../errors.js";
import { type DecoderSpec, type LinearRole, linearName, linearRoles, linearShape } from "../../network/index.js";
import { groupColumns, type Scheme } from "../../quant/scheme.js";
import type { Override } from "../options/shared/overrides.js";

/** The scheme of every Linear of the network by module name; null for those left in full precision. */
export type LayerSchemes = ReadonlyMap<string, Scheme | null>;

/**
 * Resolves overrides; the last whose pattern matches wins.
 *
 * @throws OptionError for a pattern that matches no Linear, or a group that does not divide a width.
 */
export function resolveSchemes(spec: DecoderSpec, scheme: Scheme, overrides: readonly Override[]): LayerSchemes {
  const linears = Array.from({ length: spec.blocks }, (_, block) =>
    linearRoles(spec).map((role) => ({ role, name: linearName(spec, block, role) })),
  ).flat();
  for (const { pattern } of overrides) {
    if (!linears.some(({ name }) => matches(pattern, name))) {
      throw new OptionError({
        where: `overrides: "${pattern}"`,
        what: "matches no Linear of this model",
        next: `use names like ${linears[0]?.name}, with * for any characters`,
      });
    }
  }
  const widths = (pattern: string): readonly number[] => {
    const named = linears.filter(({ name }) => pattern === "" || matches(pattern, name));
    return [...new Set(named.map(({ role }) => linearShape(spec, role)[1]))];
  };
  return new Map(linears.map(({ name, role }) => [name, resolve(spec, scheme, overrides, name, role, widths)]));
}

function resolve(
  spec: DecoderSpec,
  scheme: Scheme,
  overrides: readonly Override[],
  name: string,
  role: LinearRole,
  widths: (pattern: string) => readonly number[],
): Scheme | null {
  const override = overrides.filter(({ pattern }) => matches(pattern, name)).at(-1);
  if (override?.skip === true) return null;
  const { bits = scheme.bits, group } = override ?? {};
  const groupSize = group === undefined ? scheme.groupSize : group === "channel" ? null : group;
  const resolved = { ...scheme, bits, groupSize };
  const columns = linearShape(spec, role)[1];
  // The group of an override is for it to change, and has to fit the Linears that it names.
  if (override?.group === undefined) groupColumns(resolved, columns, name, widths(""));
  else {
    const advise = (nearest: number): string =>
      `give the override "${override.pattern}" group ${nearest}, or "channel"`;
    groupColumns(resolved, columns, name, widths(override.pattern), advise);
  }
  return resolved;
}

function matches(pattern: string, name: string): boolean {
  const literal = pattern.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${literal.join(".*")}$`).test(name);
}
