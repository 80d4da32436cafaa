import type { SecondMoments } from "../../quant/second-moments.js";
import { type RowColumnOptions, rowColumn } from "../../quant/solver/row-column.js";
import type { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import type { AttentionFactors } from "../measure/attention-factors.js";
import type { EngineOptions } from "../options/engine-options.js";
import { candidatesOf } from "../options/shared/range.js";
import type { SharedOptions } from "../options/shared-options.js";
import { gptqRule, type LayerRule } from "./layer-rule.js";

type RuleOptions = Pick<EngineOptions, "range" | "gptq"> & Pick<SharedOptions, "boa">;

/** What BoA's solver reads of the options. */
export function rowColumnOptions({ range, gptq, boa }: RuleOptions): RowColumnOptions {
  const { rowsAtOnce, rowDamping } = boa;
  return { ...gptq, candidates: candidatesOf(range), rowsAtOnce, rowDamping };
}

/** BoA, by the second moments of the inputs and what a block's attention makes of queries, keys and values; GPTQ where it has none. */
export function rowColumnRule(
  options: RuleOptions,
  block: QuantizedUnit,
  attention: AttentionFactors | null,
): LayerRule {
  const solver = rowColumnOptions(options);
  const plain = gptqRule(options);
  const names = new Map([...block.layers].map(([name, layer]) => [layer, name]));
  return {
    name: "BoA",
    needsMoments: true,
    choose(weight, layer, moments) {
      const name = names.get(layer) ?? "";
      const factors = attention?.of(name, block, moments as SecondMoments) ?? null;
      if (factors === null) return plain.choose(weight, layer, moments);
      const { codes } = rowColumn(weight, factors, layer.scheme, layer.name, solver);
      attention?.drop(name);
      return codes;
    },
  };
}
