import { noGrad, scope, Tensor } from "../../tensor/index.js";
import { type DetectionOptions, outlierThreshold } from "./detect-outliers.js";

/**
 * CFP for weights: magnitudes above the detected threshold are truncated to it, per tensor or per
 * output row. Returns a new weight `[out, in]` and how many elements were truncated.
 */
export function truncateWeights(
  weight: Tensor,
  options: DetectionOptions & { readonly perRow?: boolean } = {},
): { weight: Tensor; truncated: number } {
  return noGrad(() =>
    scope(() => {
      const rows = options.perRow === true ? weight.split(1, 0) : [weight];
      const thresholds = rows.map((row) => outlierThreshold(row.abs(), options) ?? Number.POSITIVE_INFINITY);
      const parts = rows.map((row, i) => row.clamp(-(thresholds[i] as number), thresholds[i] as number));
      const result = Tensor.cat(parts, 0);
      return { weight: result, truncated: result.sub(weight).abs().gt(0).to("int64").sum().item() };
    }),
  );
}
