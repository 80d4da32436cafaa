import type { UnitPlan } from "../../network/index.js";
import { allocate } from "../../quant/allocate/multiplier.js";
import { type LayerSchemes, pinnedBits } from "../job/layer-schemes.js";
import type { Override } from "../options/shared/overrides.js";

/** Linears that get the same bits. */
export interface BitItem {
  readonly modules: readonly string[];
  /** Of all of them. */
  readonly weights: number;
  /** Bits that come into question, from few to many. */
  readonly widths: readonly number[];
}

/** What decides what a Linear may get. */
export interface ItemOptions {
  readonly overrides: readonly Override[];
  /** Bits of Linears that no override gives some. */
  readonly widths: readonly number[];
  /** Whether Linears that read the same input get the same. */
  readonly tied: boolean;
}

/** The Linears that are quantized, those together that get the same bits. Bits of an override stay. */
export function bitItems(
  units: readonly Pick<UnitPlan, "layers" | "sites">[],
  schemes: LayerSchemes,
  { overrides, widths, tied }: ItemOptions,
): readonly BitItem[] {
  const sorted = [...new Set(widths)].sort((a, b) => a - b);
  return units.flatMap(({ layers, sites }) => {
    const quantized = layers.filter(({ module }) => (schemes.get(module) ?? null) !== null);
    const pinned = quantized.filter(({ module }) => pinnedBits(module, overrides) !== null);
    const free = quantized.filter((layer) => !pinned.includes(layer));
    const together = tied
      ? sites.map(({ consumers }) => free.filter(({ name }) => consumers.includes(name)))
      : free.map((layer) => [layer]);
    return [
      ...pinned.map((layer) => ({ group: [layer], widths: [pinnedBits(layer.module, overrides) as number] })),
      ...together.filter((group) => group.length > 0).map((group) => ({ group, widths: sorted })),
    ].map(({ group, widths: possible }) => ({
      modules: group.map(({ module }) => module),
      weights: group.reduce((sum, { rows, columns }) => sum + rows * columns, 0),
      widths: possible,
    }));
  });
}

/** Bits by module name. */
export type Allocation = ReadonlyMap<string, number>;

/**
 * Shares out bits so that the mean over all weights is within the budget and the sum of what is lost least.
 *
 * @param lossOf what is lost with a Linear of these bits
 * @returns null where even the fewest bits are more
 */
export function allocateBits(
  items: readonly BitItem[],
  budget: number,
  lossOf: (module: string, bits: number) => number,
): Allocation | null {
  const choices = items.map(({ modules, weights, widths }) =>
    widths.map((bits) => ({
      cost: weights * bits,
      loss: modules.reduce((sum, module) => sum + lossOf(module, bits), 0),
    })),
  );
  // A budget like 2.1 is no sum of halves: what rounding takes off the product must not cost a bit.
  const chosen = allocate(choices, Math.floor(budget * weightsIn(items) * (1 + 1e-12)));
  if (chosen === null) return null;
  return new Map(
    items.flatMap(({ modules, widths }, i) => modules.map((module) => [module, widths[chosen[i] as number] as number])),
  );
}

/** Bits of a code, in the mean over all weights. */
export function meanBits(items: readonly BitItem[], bitsOf: (module: string) => number): number {
  const bits = items.reduce((sum, { modules, weights }) => sum + weights * bitsOf(modules[0] as string), 0);
  return bits / Math.max(1, weightsIn(items));
}

/** The least mean that there is. */
export function leastMean(items: readonly BitItem[]): number {
  const widths = new Map(items.map(({ modules, widths }) => [modules[0], widths[0] as number]));
  return meanBits(items, (module) => widths.get(module) as number);
}

/** What stands in for an allocation before anything is measured: all weights lose alike, a quarter with each bit more. */
export function likelyAllocation(items: readonly BitItem[], budget: number): Allocation | null {
  const weights = new Map(items.flatMap(({ modules, weights: all }) => modules.map((m) => [m, all / modules.length])));
  return allocateBits(items, budget, (module, bits) => (weights.get(module) as number) * 4 ** -bits);
}

function weightsIn(items: readonly BitItem[]): number {
  return items.reduce((sum, { weights }) => sum + weights, 0);
}
