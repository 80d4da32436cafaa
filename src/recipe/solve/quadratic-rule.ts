import type { SecondMoments } from "../../quant/second-moments.js";
import { type RowColumnOptions, rowColumn } from "../../quant/solver/row-column.js";
import { Quadratic } from "../../reconstruct/objective/quadratic.js";
import { type QuadraticRoundingOptions, roundByQuadratic } from "../../reconstruct/training/round-by-quadratic.js";
import { scope, type Tensor } from "../../tensor/index.js";
import type { LayerRule } from "./layer-rule.js";
import type { FactorsOf } from "./row-column-rule.js";

export interface QuadraticRule {
  /** Whose codes, and whose corrected weight, a rounding starts from: those of rows that make up for each other, or of GPTQ. */
  readonly start: "boa" | "gptq";
  readonly solver: RowColumnOptions;
  readonly factorsOf: FactorsOf;
  /** How a Linear is trained; `attention` says whether it is one of queries, keys and values. */
  training(attention: boolean): QuadraticRoundingOptions;
}

/** AdaRound of each Linear on the quadratic loss of its factors: those of attention, or its inputs' second moments alone. */
export function quadraticRule({ start, solver, factorsOf, training }: QuadraticRule): LayerRule {
  return {
    name: "aespa",
    needsMoments: true,
    choose: (weight, layer, moments) =>
      scope(() => {
        const attention = factorsOf(layer, moments as SecondMoments);
        const factors = attention ?? { columns: [moments as SecondMoments], rows: null, heads: 1 };
        const from = start === "boa" ? factors : { ...factors, rows: null };
        const { codes, corrected } = rowColumn(weight, from, layer.scheme, layer.name, {
          ...solver,
          keepCorrected: true,
        });
        const quadratic = new Quadratic(weight, factors);
        return roundByQuadratic(corrected as Tensor, codes, quadratic, training(attention !== null));
      }),
  };
}
