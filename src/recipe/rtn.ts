import { nearestRule } from "./layer-rule.js";
import { layerwise } from "./layerwise.js";
import type { RecipeEvent, RecipeJob } from "./recipe-job.js";

/** Round to nearest on a clip-searched range: the baseline that needs no text. */
export function rtn(job: RecipeJob): Generator<RecipeEvent, void> {
  return layerwise(job, nearestRule(job.options));
}
