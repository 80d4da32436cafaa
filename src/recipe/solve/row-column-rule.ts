import type { SecondMoments } from "../../quant/second-moments.js";
import { type HeadFactors, type RowColumnOptions, rowColumn, rowsOfStep } from "../../quant/solver/row-column.js";
import type { QuantizedLayer } from "../../reconstruct/quantized-layer.js";
import type { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import type { AttentionFactors } from "../measure/attention-factors.js";
import type { EngineOptions } from "../options/engine-options.js";
import { candidatesOf } from "../options/shared/range.js";
import type { SharedOptions } from "../options/shared-options.js";
import type { Cost } from "../recipe.js";
import { gptqRule, type LayerRule } from "./layer-rule.js";

type RuleOptions = Pick<EngineOptions, "range" | "gptq"> & Pick<SharedOptions, "boa">;

/** What BoA's solver reads of the options. */
export function rowColumnOptions({ range, gptq, boa }: RuleOptions): RowColumnOptions {
  const { rowsAtOnce, rowDamping } = boa;
  return { ...gptq, candidates: candidatesOf(range), rowsAtOnce, rowDamping };
}

/** What a recipe takes that rounds queries, keys and values by it. */
export function attentionCost(boa: RuleOptions["boa"]): Pick<Cost, "attention" | "solves"> {
  return { attention: boa.blockV ? "values" : "rows", solves: (heads) => solvesInTurn(heads, boa) };
}

/**
 * How often the solver along the columns runs for queries, keys and values, one after the other, beyond once for each: for every few rows
 * of the heads, and for the values once more for every head, where each has columns of its own.
 */
function solvesInTurn(
  { kvHeads, headDim }: { readonly kvHeads: number; readonly headDim: number },
  { rowsAtOnce, valueRows, blockV }: RuleOptions["boa"],
): number {
  const turns = Math.ceil(headDim / rowsOfStep(rowsAtOnce, headDim));
  const ofValues = (valueRows ? turns : 1) * (blockV ? kvHeads : 1);
  return 2 * turns + ofValues - 3;
}

/** What errors of a block's Linears cost its attention; null for a Linear of whose outputs it knows nothing. */
export type FactorsOf = (layer: QuantizedLayer, moments: SecondMoments) => HeadFactors | null;

/** Those of a block's attention, if it has one that was measured. */
export function attentionFactorsOf(block: QuantizedUnit, attention: AttentionFactors | null): FactorsOf {
  const names = new Map([...block.layers].map(([name, layer]) => [layer, name]));
  return (layer, moments) => attention?.of(names.get(layer) ?? "", block, moments) ?? null;
}

/** BoA, by the second moments of the inputs and what a block's attention makes of queries, keys and values; GPTQ where it has none. */
export function rowColumnRule(options: RuleOptions, factorsOf: FactorsOf): LayerRule {
  const solver = rowColumnOptions(options);
  const plain = gptqRule(options);
  return {
    name: "BoA",
    needsMoments: true,
    choose(weight, layer, moments) {
      const factors = factorsOf(layer, moments as SecondMoments);
      if (factors === null) return plain.choose(weight, layer, moments);
      return rowColumn(weight, factors, layer.scheme, layer.name, solver).codes;
    },
  };
}
