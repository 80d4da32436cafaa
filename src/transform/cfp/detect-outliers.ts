import { noGrad, scope, type Tensor } from "../../tensor/index.js";

/** Whose rule finds outliers. */
export type Detection = "paper" | "msmodelslim";

/** How a rule of that name reads values. */
export interface DetectionRule {
  /** Lower and upper quantile of the coarse step. */
  readonly quantiles: readonly [number, number];
  /** Whether positive and negative values have thresholds of their own, or magnitudes one for both. */
  readonly sidesApart: boolean;
}

/** The paper's quartiles of magnitudes; Huawei's msmodelslim takes quantiles 0.2 and 0.8 of minima and maxima apart. */
export const detectionRules: Readonly<Record<Detection, DetectionRule>> = {
  paper: { quantiles: [0.25, 0.75], sidesApart: false },
  msmodelslim: { quantiles: [0.2, 0.8], sidesApart: true },
};

export interface DetectionOptions {
  /** Interquartile ranges above the upper quartile where candidates begin. Defaults to 1.5. */
  readonly lambda1?: number;
  /** Weight of the reserved part's variance against the gap. Defaults to 1. */
  readonly lambda2?: number;
  /** The lower and upper quantile. Defaults to [0.25, 0.75]. */
  readonly quantiles?: readonly [number, number];
}

/**
 * Coarse-to-fine detection on magnitudes: above the result lie the outliers; null when there are
 * none. Coarse: candidates lie above `T = Q3 + lambda1 (Q3 - Q1)`. Fine: of all splits of the sorted
 * candidates into reserved and outliers, the one with the largest
 * `M = (min outlier - max reserved)^2 - lambda2 Var(reserved)`; the threshold is the largest
 * reserved magnitude. A lone candidate is held against `T`. Magnitudes are divided by their median
 * first, so that the rule does not depend on their scale. O(n log n).
 * Source: CBQ (arXiv 2312.07950), section 3.1.
 */
export function outlierThreshold(magnitudes: Tensor, options: DetectionOptions = {}): number | null {
  const [low, high] = options.quantiles ?? [0.25, 0.75];
  const { sorted, count } = noGrad(() =>
    scope(() => {
      const flat = magnitudes.to("float32").reshape([magnitudes.numel]);
      return { sorted: flat.sort(0).values, count: flat.numel };
    }),
  );
  try {
    if (count < 2) return null;
    const median = quantile(sorted, count, 0.5);
    const unit = median > 0 ? median : 1;
    const q1 = quantile(sorted, count, low) / unit;
    const q3 = quantile(sorted, count, high) / unit;
    const coarse = q3 + (options.lambda1 ?? 1.5) * (q3 - q1);
    const candidates = above(sorted, count, coarse * unit);
    if (candidates.length === 0) return null;
    if (candidates.length === 1) return coarse * unit;
    return candidates[bestSplit(candidates, unit, options.lambda2 ?? 1)] as number;
  } finally {
    sorted.dispose();
  }
}

// Index of the largest reserved candidate, by prefix sums over the sorted candidates.
function bestSplit(candidates: Float32Array, unit: number, lambda2: number): number {
  let sum = 0;
  let squares = 0;
  let best = 0;
  let bestScore = Number.NEGATIVE_INFINITY;
  // Relative to the first candidate: variances of close values survive the subtraction.
  const origin = (candidates[0] as number) / unit;
  for (let i = 0; i + 1 < candidates.length; i++) {
    const value = (candidates[i] as number) / unit - origin;
    sum += value;
    squares += value * value;
    const mean = sum / (i + 1);
    const variance = Math.max(0, squares / (i + 1) - mean * mean);
    const gap = (candidates[i + 1] as number) / unit - origin - value;
    const score = gap * gap - lambda2 * variance;
    if (score > bestScore) {
      bestScore = score;
      best = i;
    }
  }
  return best;
}

function quantile(sorted: Tensor, count: number, share: number): number {
  const place = share * (count - 1);
  const lower = Math.floor(place);
  const upper = Math.min(lower + 1, count - 1);
  return scope(() => {
    const a = sorted.select(0, lower).item();
    return a + (place - lower) * (sorted.select(0, upper).item() - a);
  });
}

// Only the tail comes to the host: a weight has many elements, but few candidates.
function above(sorted: Tensor, count: number, threshold: number): Float32Array {
  return noGrad(() =>
    scope(() => {
      const tail = sorted.gt(threshold).to("int64").sum().item();
      return sorted.narrow(0, count - tail, tail).toFloat32Array();
    }),
  );
}
