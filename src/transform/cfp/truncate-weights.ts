import { noGrad, scope, Tensor } from "../../tensor/index.js";
import { type Detection, type DetectionOptions, detectionRules, outlierThreshold } from "./detect-outliers.js";

/** Which weights are outliers. */
export interface TruncationOptions extends Omit<DetectionOptions, "quantiles"> {
  /** Defaults to the paper's rule, `cbq`. */
  readonly detection?: Detection;
  /** Detect per output row, not per tensor. */
  readonly perRow?: boolean;
}

/**
 * CFP for weights: magnitudes above the detected threshold are truncated to it, per tensor or per
 * output row; by the rule `msmodelslim` positive and negative weights each have a threshold of their own. Returns a new
 * weight `[out, in]` and how many elements were truncated.
 */
export function truncateWeights(
  weight: Tensor,
  options: TruncationOptions = {},
): { weight: Tensor; truncated: number } {
  return noGrad(() =>
    scope(() => {
      const rows = options.perRow === true ? weight.split(1, 0) : [weight];
      const parts = rows.map((row) => {
        const [low, high] = bounds(row, options);
        return row.clamp(low, high);
      });
      const result = Tensor.cat(parts, 0);
      return { weight: result, truncated: result.sub(weight).abs().gt(0).to("int64").sum().item() };
    }),
  );
}

function bounds(values: Tensor, { detection = "paper", ...options }: TruncationOptions): [low: number, high: number] {
  const { quantiles, sidesApart } = detectionRules[detection];
  const threshold = (magnitudes: Tensor): number =>
    outlierThreshold(magnitudes, { ...options, quantiles }) ?? Number.POSITIVE_INFINITY;
  if (!sidesApart) {
    const both = threshold(values.abs());
    return [-both, both];
  }
  return [-threshold(positive(values.neg())), threshold(positive(values))];
}

function positive(values: Tensor): Tensor {
  const sorted = values.reshape([values.numel]).sort(0).values;
  const count = sorted.gt(0).to("int64").sum().item();
  return sorted.narrow(0, sorted.numel - count, count);
}
