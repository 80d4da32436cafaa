import { FormatError, OptionError } from "../../../errors.js";
import type { UnitPlan } from "../../../network/index.js";
import { type Scheme, schemeName, WEIGHT_BITS } from "../../../quant/scheme.js";
import { type BitItem, bitItems, leastMean, likelyAllocation } from "../../../recipe/allocation/bit-items.js";
import { type LayerSchemes, resolveSchemes } from "../../../recipe/job/layer-schemes.js";
import { recipeOf } from "../../../recipe/job/recipe-names.js";
import type { RunOptions } from "../../options/options.js";
import { listed } from "../../options/parse/listed.js";

/** How a run will share out bits, before anything is measured. */
export interface PlannedAllocation {
  readonly budget: number;
  readonly items: readonly BitItem[];
  /** With the bits of each Linear as they would be if all weights mattered alike: of the size that the result will have. */
  readonly schemes: LayerSchemes;
}

/**
 * Finds out which bits come into question: those that all formats of the run hold.
 *
 * @param assertWritten plans the formats with these schemes, and throws what they refuse
 * @throws OptionError for a budget below the fewest bits; FormatError where a format holds none of them
 */
export function planAllocation(
  units: readonly UnitPlan[],
  scheme: Scheme,
  options: RunOptions,
  assertWritten: (schemes: LayerSchemes) => void,
): PlannedAllocation | null {
  const { bitsBudget, allocation, overrides, format } = options;
  if (bitsBudget === null) return null;
  const schemesAt = (bits: number): LayerSchemes => resolveSchemes(units, { ...scheme, bits }, overrides);
  const refusals: FormatError[] = [];
  const widths = (allocation.widths ?? WEIGHT_BITS).filter((bits) => {
    try {
      assertWritten(schemesAt(bits));
      return true;
    } catch (error) {
      if (!(error instanceof FormatError) || allocation.widths !== null) throw error;
      refusals.push(error);
      return false;
    }
  });
  const [refusal] = refusals;
  if (widths.length === 0 && refusal !== undefined) throw refusal;
  const items = bitItems(units, schemesAt(scheme.bits), { overrides, widths, tied: allocation.tied });
  const likely = likelyAllocation(items, bitsBudget);
  if (likely === null) {
    const least = Math.ceil(leastMean(items) * 1000) / 1000;
    const holding =
      refusals.length > 0 ? [`${listed(format, "and")} together hold ${listed(widths.map(String), "and")} bits`] : [];
    const pinned = overrides.some(({ bits }) => bits !== undefined) ? ["overrides count in the budget"] : [];
    // The scheme has to say the width at or above the budget, so that a larger budget may need another one.
    const above = WEIGHT_BITS.find((bits) => bits >= least) ?? 8;
    const named = above === scheme.bits ? "" : ` --scheme ${schemeName({ ...scheme, bits: above })}`;
    const every = bitItems(units, schemesAt(scheme.bits), { overrides, widths: WEIGHT_BITS, tied: allocation.tied });
    const helps = refusals.length > 0 && likelyAllocation(every, bitsBudget) !== null;
    throw new OptionError({
      where: 'option "bitsBudget"',
      what: `the fewest bits that the Linears may get are ${least} on average, and the budget is ${bitsBudget}`,
      ...(holding.length + pinned.length > 0 && { why: [...holding, ...pinned].join("; ") }),
      next: `use --bits-budget ${least}${named}${helps ? ", or --format compressed-tensors, which holds 2 to 8 bits" : ""}`,
    });
  }
  recipeOf(options.recipe).checkBits?.(items, bitsBudget, options);
  return { budget: bitsBudget, items, schemes: resolveSchemes(units, scheme, overrides, likely) };
}
