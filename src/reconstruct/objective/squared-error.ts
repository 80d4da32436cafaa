import type { Tensor } from "../../tensor/index.js";

/** `|actual - target|^2`, summed over an example `[batch, ...]` and meaned over the batch: a scalar. */
export function squaredError(target: Tensor, actual: Tensor): Tensor {
  const error = actual.to("float32").sub(target.to("float32"));
  return error.square().sum().div(target.size(0));
}

/** `|actual - target|^2 / |target|^2`: a scalar. */
export function lostShare(target: Tensor, actual: Tensor): Tensor {
  const full = target.to("float32");
  return actual.to("float32").sub(full).square().sum().div(full.square().sum().clamp(1e-30));
}
