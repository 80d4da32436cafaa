import { OptionError } from "../../errors.js";
import { geneticBits } from "../../quant/allocate/genetic.js";
import type { BitItem } from "../allocation/bit-items.js";
import type { RecipeEvent, RecipeJob } from "../job/recipe-job.js";
import { type BitCosts, bitCosts } from "./bit-costs.js";
import { type LatencyTable, latencyOf, timedItems } from "./latency-table.js";

/** What bits cost, and how much may be spent. */
export interface BitBudget {
  /**
   * `size`: bits of a code, in the mean over all weights. `latency`: by `table`, what each layer takes at its bits, in any unit;
   * without one multiply-adds times bits, in the mean over all multiply-adds.
   */
  readonly by: "size" | "latency";
  readonly most: number;
  readonly table?: LatencyTable;
}

/** Bits of layers, by module, what they are expected to lose, and what they cost in the budget's measure. */
export interface GeneticAllocation {
  readonly bits: ReadonlyMap<string, number>;
  readonly loss: number;
  readonly cost: number;
}

/**
 * Bits of every layer within a budget: measures what they are worth (`bitCosts`) and searches (`geneticBits`).
 *
 * @param given layers that get the same bits, and those that come into question; of others the budget does not count
 * @throws OptionError where a table lacks a layer or bits, or where even the fewest bits are above the budget
 */
export function* geneticAllocation(
  job: RecipeJob,
  given: readonly Pick<BitItem, "modules" | "widths">[],
  budget: BitBudget,
): Generator<RecipeEvent, GeneticAllocation> {
  const { by, most } = budget;
  const table = by === "latency" ? budget.table : undefined;
  const items = table === undefined ? given : timedItems(given, table);
  const layers = new Map(
    job.network.units.flatMap((unit) => unit.layers.map((layer) => [layer.module, layer] as const)),
  );
  const widthsBy = new Map(items.flatMap(({ modules, widths }) => modules.map((module) => [module, widths] as const)));
  const costs = yield* bitCosts(job, (module) => widthsBy.get(module) ?? []);
  const sizeOf = (module: string): number => {
    const { rows = 0, columns = 0 } = layers.get(module) ?? {};
    return by === "size" ? rows * columns : (costs.multiplyAdds.get(module) ?? 0);
  };
  const total = [...widthsBy.keys()].reduce((sum, module) => sum + sizeOf(module), 0);
  const priceOf = (module: string, bits: number): number =>
    table === undefined ? (bits * sizeOf(module)) / total : latencyOf(table, module, bits);
  const sumOf = (bits: readonly number[], of: (module: string, bits: number) => number): number =>
    items.reduce((sum, { modules }, i) => modules.reduce((own, module) => own + of(module, bits[i] as number), sum), 0);
  const byModule = (bits: readonly number[]): ReadonlyMap<string, number> =>
    new Map(items.flatMap(({ modules }, i) => modules.map((module) => [module, bits[i] as number] as const)));
  const cost = (bits: readonly number[]): number => sumOf(bits, priceOf);
  const loss = (bits: readonly number[]): number => lossOf(costs, byModule(bits), widthsBy);
  const widths = items.map((item) => [...item.widths].sort((a, b) => a - b));
  // What rounding adds to a sum of shares must not cost a bit.
  const found = geneticBits({ widths, loss, cost, budget: most * (1 + 1e-12) }, { seed: job.seed });
  if (found === null) {
    const least = cost(widths.map((own) => own[0] as number));
    throw new OptionError({
      where: `a budget of ${most} by ${by}`,
      what: `the fewest bits come to ${least}`,
      next: `give at least ${least}, or allow layers fewer bits`,
    });
  }
  return { bits: byModule(found), loss: loss(found), cost: cost(found) };
}

type WidthsBy = ReadonlyMap<string, readonly number[]>;

/**
 * The loss of an assignment: the sum of what single layers lose, and in every block what its layers at the fewest bits lose
 * together in place of the sum of theirs. Where only pairs were measured, what each pair loses beyond its two layers.
 */
function lossOf({ single, together, blocks }: BitCosts, bits: ReadonlyMap<string, number>, widths: WidthsBy): number {
  const alone = (module: string): number => single.get(module)?.get(bits.get(module) ?? 0) ?? 0;
  const isLeast = (module: string): boolean => {
    const own = widths.get(module) ?? [];
    return own.length > 1 && bits.get(module) === Math.min(...own);
  };
  return blocks.reduce((sum, block) => {
    const own = block.filter((module) => bits.has(module));
    const fewest = own.filter(isLeast);
    const separate = own.reduce((all, module) => all + alone(module), 0);
    const joint = together.get(fewest.join(" "));
    if (joint !== undefined) return sum + separate + joint - fewest.reduce((all, module) => all + alone(module), 0);
    const pairs = fewest.flatMap((a, i) => fewest.slice(i + 1).map((b) => [a, b] as const));
    return pairs.reduce((all, [a, b]) => {
      const pair = together.get(`${a} ${b}`);
      return pair === undefined ? all : all + pair - alone(a) - alone(b);
    }, sum + separate);
  }, 0);
}
