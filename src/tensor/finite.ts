import { callTensor } from "./call.js";
import { hasKernel } from "./engine/dispatch.js";
import { scope } from "./scope.js";
import { Tensor } from "./tensor.js";

/** Whether all numbers of a tensor are finite; waits for the device. NaN passes through both extremes, and neither takes memory. */
export function isFiniteTensor(tensor: Tensor): boolean {
  return scope(() => Number.isFinite(tensor.amax().item()) && Number.isFinite(tensor.amin().item()));
}

/**
 * The same of several tensors, as a number that stays on the device: 1 where all are finite, else 0, fp32 `[1]`. For
 * gradients and losses: what overflows in a sum of fp32 counts as not finite.
 */
export function allFinite(tensors: readonly Tensor[]): Tensor {
  const [first] = tensors;
  if (first !== undefined && hasKernel("crossblock::all_finite", first)) {
    return callTensor("crossblock::all_finite", [tensors]);
  }
  const sum = Tensor.stack(tensors.map((tensor) => tensor.sum())).sum();
  return sum.sub(sum).eq(0).to("float32").reshape([1]);
}
