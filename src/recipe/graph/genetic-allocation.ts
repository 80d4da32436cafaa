import { OptionError } from "../../errors.js";
import { geneticBits } from "../../quant/allocate/genetic.js";
import type { RecipeEvent, RecipeJob } from "../job/recipe-job.js";
import { type BitCosts, bitCosts } from "./bit-costs.js";

/** What bits cost, and how much may be spent. */
export interface BitBudget {
  /**
   * `size`: bits of a code, in the mean over all weights. `latency`: by `table`, what each layer takes at its bits, in any unit;
   * without one multiply-adds times bits, in the mean over all multiply-adds.
   */
  readonly by: "size" | "latency";
  readonly most: number;
  /** By module, then by bits. */
  readonly table?: Readonly<Record<string, Readonly<Record<string, number>>>>;
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
 * @param widthsOf bits that come into question for a layer; a single number keeps it out of the search
 * @throws OptionError where a table lacks a layer or bits, or where even the fewest bits are above the budget
 */
export function* geneticAllocation(
  job: RecipeJob,
  widthsOf: (module: string) => readonly number[],
  budget: BitBudget,
): Generator<RecipeEvent, GeneticAllocation> {
  const layers = job.network.units.flatMap((unit) => unit.layers).filter(({ module }) => widthsOf(module).length > 0);
  const modules = layers.map(({ module }) => module);
  const { table } = budget;
  if (budget.by === "latency" && table !== undefined) checkTable(modules, widthsOf, table);
  const costs = yield* bitCosts(job, widthsOf);
  const sizes = layers.map(({ module, rows, columns }) =>
    budget.by === "size" ? rows * columns : (costs.multiplyAdds.get(module) ?? 0),
  );
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const priceOf = (i: number, width: number): number =>
    budget.by === "latency" && table !== undefined
      ? (table[modules[i] as string]?.[width] as number)
      : (width * (sizes[i] as number)) / total;
  const cost = (bits: readonly number[]): number => bits.reduce((sum, width, i) => sum + priceOf(i, width), 0);
  const loss = lossOf(costs, modules, widthsOf);
  const widths = modules.map((module) => [...widthsOf(module)].sort((a, b) => a - b));
  // What rounding adds to a sum of shares must not cost a bit.
  const found = geneticBits({ widths, loss, cost, budget: budget.most * (1 + 1e-12) }, { seed: job.seed });
  if (found === null) {
    const least = cost(widths.map((own) => own[0] as number));
    throw new OptionError({
      where: `a budget of ${budget.most} by ${budget.by}`,
      what: `the fewest bits come to ${least}`,
      next: `give at least ${least}, or allow layers fewer bits`,
    });
  }
  return {
    bits: new Map(modules.map((module, i) => [module, found[i] as number])),
    loss: loss(found),
    cost: cost(found),
  };
}

/**
 * The loss of an assignment: the sum of what single layers lose, and in every block what its layers at the fewest bits lose
 * together in place of the sum of theirs. Where only pairs were measured, what each pair loses beyond its two layers.
 */
function lossOf(
  { single, together, blocks }: BitCosts,
  modules: readonly string[],
  widthsOf: (module: string) => readonly number[],
): (bits: readonly number[]) => number {
  const place = new Map(modules.map((module, i) => [module, i]));
  const alone = (module: string, width: number): number => single.get(module)?.get(width) ?? 0;
  return (bits) =>
    blocks.reduce((sum, block) => {
      const own = block.filter((module) => place.has(module));
      const at = (module: string): number => bits[place.get(module) as number] as number;
      const fewest = own.filter(
        (module) => at(module) === Math.min(...widthsOf(module)) && widthsOf(module).length > 1,
      );
      const separate = own.reduce((total, module) => total + alone(module, at(module)), 0);
      const lost = fewest.reduce((total, module) => total + alone(module, at(module)), 0);
      const joint = together.get(fewest.join(" "));
      if (joint !== undefined) return sum + separate + joint - lost;
      const pairs = fewest.flatMap((a, i) => fewest.slice(i + 1).map((b) => [a, b] as const));
      return pairs.reduce((total, [a, b]) => {
        const pair = together.get(`${a} ${b}`);
        return pair === undefined ? total : total + pair - alone(a, at(a)) - alone(b, at(b));
      }, sum + separate);
    }, 0);
}

function checkTable(
  modules: readonly string[],
  widthsOf: (module: string) => readonly number[],
  table: NonNullable<BitBudget["table"]>,
): void {
  for (const module of modules) {
    for (const bits of widthsOf(module)) {
      const value = Object.hasOwn(table, module) ? table[module]?.[bits] : undefined;
      if (typeof value === "number" && Number.isFinite(value) && value >= 0) continue;
      throw new OptionError({
        where: `latency table, "${module}"`,
        what: `has no number for ${bits} bits`,
        next: `add {"${module}": {"${bits}": TIME}} for every layer and all of its widths, or leave the table out`,
      });
    }
  }
}
