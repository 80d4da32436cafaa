import type { Tensor } from "../../tensor/index.js";

/**
 * How the moments of channels differ between outputs `target` and `actual`, `[batch, time, hidden]`, over all of their
 * tokens; a scalar. `mean`: `(1/C) sum |mu - mu'| + |var - var'|`, the paper's equation 3. `squares`:
 * `sum (mu - mu')^2 + sum (std - std')^2`, as released code computes it. Variances are unbiased.
 * Source: Norm Tweaking (arXiv 2309.02784), section 3.3.
 */
export function channelMoments(target: Tensor, actual: Tensor, form: "mean" | "squares"): Tensor {
  const [y, x] = [rows(target), rows(actual)];
  const shift = y.mean(0).sub(x.mean(0));
  if (form === "mean")
    return shift
      .abs()
      .add(variance(y).sub(variance(x)).abs())
      .mean();
  // The root has no slope at 0.
  const spread = variance(y).clamp(1e-12).sqrt().sub(variance(x).clamp(1e-12).sqrt());
  return shift.square().sum().add(spread.square().sum());
}

function rows(x: Tensor): Tensor {
  return x.to("float32").reshape([-1, x.size(-1)]);
}

function variance(x: Tensor): Tensor {
  const tokens = x.size(0);
  return x
    .sub(x.mean(0))
    .square()
    .sum(0)
    .div(Math.max(1, tokens - 1));
}
