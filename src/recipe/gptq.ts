import { OptionError } from "../errors.js";
import { gptq as solve } from "../quant/gptq.js";
import type { SecondMoments } from "../quant/second-moments.js";
import { layerwise } from "./layerwise.js";
import type { RecipeEvent, RecipeJob, RecipeReport } from "./recipe-job.js";

/** GPTQ, layer by layer, on the stream of what is already quantized. */
export function gptq(job: RecipeJob): Generator<RecipeEvent, RecipeReport> {
  const { range, gptq: options } = job.options;
  if (job.tokens === null) {
    throw new OptionError({ where: "recipe gptq", what: "needs calibration text", next: "give --calibration PATH" });
  }
  return layerwise(job, {
    needsMoments: true,
    choose: (weight, layer, moments) =>
      solve(weight, moments as SecondMoments, layer.scheme, layer.name, {
        ...options,
        candidates: range.search ? range.candidates : 1,
      }).codes,
  });
}
