import { OptionError } from "../errors.js";
import { gptqRule } from "./layer-rule.js";
import { layerwise } from "./layerwise.js";
import type { RecipeEvent, RecipeJob } from "./recipe-job.js";

/** GPTQ, layer by layer, on the stream of what is already quantized. */
export function gptq(job: RecipeJob): Generator<RecipeEvent, void> {
  if (job.tokens === null) {
    throw new OptionError({ where: "recipe gptq", what: "needs calibration text", next: "give --calibration PATH" });
  }
  return layerwise(job, gptqRule(job.options));
}
