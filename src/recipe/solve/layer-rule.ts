import { type Codes, roundToNearest } from "../../quant/grid/grid.js";
import { searchRange } from "../../quant/grid/range.js";
import type { SecondMoments } from "../../quant/second-moments.js";
import { gptq } from "../../quant/solver/gptq.js";
import type { QuantizedLayer } from "../../reconstruct/quantized-layer.js";
import { scope, type Tensor } from "../../tensor/index.js";
import type { EngineOptions } from "../options/engine-options.js";
import { candidatesOf } from "../options/shared/range.js";

/** How a layer-by-layer recipe picks the codes of one Linear. */
export interface LayerRule {
  /** In the words of a screen. */
  readonly name: string;
  /** Whether `choose` wants the second moments of the Linear's inputs. */
  readonly needsMoments: boolean;
  choose(weight: Tensor, layer: QuantizedLayer, moments: SecondMoments | null): Codes;
}

/** Round to nearest on a clip-searched range: works whatever the inputs are. */
export function nearestRule({ range }: Pick<EngineOptions, "range">): LayerRule {
  const candidates = candidatesOf(range);
  return {
    name: "round to nearest",
    needsMoments: false,
    choose: (weight, layer) =>
      scope(() => roundToNearest(weight, searchRange(weight, layer.scheme, layer.name, { candidates }))),
  };
}

/** GPTQ, by the second moments of the inputs. */
export function gptqRule({ range, gptq: options }: Pick<EngineOptions, "range" | "gptq">): LayerRule {
  const candidates = candidatesOf(range);
  return {
    name: "GPTQ",
    needsMoments: true,
    choose: (weight, layer, moments) =>
      gptq(weight, moments as SecondMoments, layer.scheme, layer.name, { ...options, candidates }).codes,
  };
}
