import { roundToNearest } from "../quant/grid.js";
import { searchRange } from "../quant/range.js";
import { scope } from "../tensor/index.js";
import { layerwise } from "./layerwise.js";
import type { RecipeEvent, RecipeJob, RecipeReport } from "./recipe-job.js";

/** Round to nearest on a clip-searched range: the baseline that needs no text. */
export function rtn(job: RecipeJob): Generator<RecipeEvent, RecipeReport> {
  const { range } = job.options;
  return layerwise(job, {
    needsMoments: false,
    choose: (weight, layer) =>
      scope(() => {
        const candidates = range.search ? range.candidates : 1;
        return roundToNearest(weight, searchRange(weight, layer.scheme, layer.name, { candidates }));
      }),
  });
}
