import { OptionError } from "../errors.js";

/** How a Linear is quantized. `W2A16g64` names one: weight bits, activation bits, group size. */
export interface Scheme {
  /** Weight bits: 2, 3, 4, 5, 6 or 8. */
  readonly bits: number;
  /** Columns that share a scale; null for one group per output row ("per channel"). */
  readonly groupSize: number | null;
  /** Full-range signed-scale grid with its zero in the middle; otherwise with a zero point per group. */
  readonly symmetric: boolean;
  /** Bits of the Linear's input; 16 leaves it in floating point. */
  readonly activationBits: 4 | 8 | 16;
}

type Bits = `W${2 | 3 | 4 | 5 | 6 | 8}A${4 | 8 | 16}`;

/**
 * The name of a scheme: bits of weights and inputs, and columns that share a scale, a row without: `W4A16g64`, `W4A4`.
 * Usual groups are named so that an editor offers them; any of at least 8 columns fits.
 */
export type SchemeName = Bits | `${Bits}g${32 | 64 | 128}` | (`${Bits}g${number}` & Record<never, never>);

/** Bits that a weight may have. */
export const WEIGHT_BITS = [2, 3, 4, 5, 6, 8] as const;
const ACTIVATION_BITS = [4, 8, 16];

/**
 * Parses `W{2,3,4,5,6,8}A{4,8,16}` with an optional `g<N>`: `W2A16g64`, `W4A4`.
 *
 * @throws OptionError that names the nearest valid scheme.
 */
export function parseScheme(name: string, options: { readonly asym?: boolean } = {}): Scheme {
  const match = /^W(\d+)A(\d+)(?:G(\d+))?$/i.exec(name.trim());
  const bits = Number(match?.[1]);
  const activationBits = Number(match?.[2]);
  const group = match?.[3] === undefined ? null : Number(match[3]);
  const groupFits = group === null || (group >= 8 && Number.isSafeInteger(group));
  if (
    match === null ||
    !WEIGHT_BITS.some((width) => width === bits) ||
    !ACTIVATION_BITS.includes(activationBits) ||
    !groupFits
  ) {
    const nearBits = nearest(WEIGHT_BITS, Number.isNaN(bits) ? 4 : bits);
    const nearActivation = nearest(ACTIVATION_BITS, Number.isNaN(activationBits) ? 16 : activationBits);
    const nearGroup = match === null ? "g64" : group === null ? "" : `g${groupFits ? group : 8}`;
    throw new OptionError({
      where: `scheme "${name}"`,
      what: "is no scheme that crossblock knows",
      why: "weights take 2, 3, 4, 5, 6 or 8 bits, activations 4, 8 or 16, groups at least 8 columns",
      next: `try --scheme W${nearBits}A${nearActivation}${nearGroup}`,
    });
  }
  return { bits, groupSize: group, symmetric: options.asym !== true, activationBits: activationBits as 4 | 8 | 16 };
}

/** The name of a scheme, as `parseScheme` takes it. */
export function schemeName(scheme: Scheme): string {
  return `W${scheme.bits}A${scheme.activationBits}${scheme.groupSize === null ? "" : `g${scheme.groupSize}`}`;
}

/**
 * Columns per group for a Linear of `columns` inputs.
 *
 * @param others widths that the same group has to divide
 * @param advise what to do, given the nearest group that divides all of them
 * @throws OptionError when the group does not divide the width.
 */
export function groupColumns(
  scheme: Scheme,
  columns: number,
  layer: string,
  others: readonly number[] = [],
  advise = (group: number): string =>
    `try --scheme ${schemeName({ ...scheme, groupSize: group })}, or leave g<N> out for one group per output row`,
): number {
  const { groupSize } = scheme;
  if (groupSize === null) return columns;
  if (columns % groupSize === 0) return groupSize;
  const divisors = Array.from({ length: columns }, (_, i) => i + 1).filter(
    (d) => d >= 8 && [columns, ...others].every((width) => width % d === 0),
  );
  throw new OptionError({
    where: layer,
    what: `groups of ${groupSize} columns do not divide its ${columns} inputs`,
    next: divisors.length > 0 ? advise(nearest(divisors, groupSize)) : "leave the group out: one per output row",
  });
}

/** Levels of a grid: codes run from 0 to `levels - 1`. */
export function levels(bits: number): number {
  return 2 ** bits;
}

function nearest(candidates: readonly number[], value: number): number {
  return candidates.reduce((best, candidate) =>
    Math.abs(candidate - value) < Math.abs(best - value) ? candidate : best,
  );
}
