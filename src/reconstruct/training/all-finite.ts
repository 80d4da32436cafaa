import { callTensor, hasKernel, Tensor } from "../../tensor/index.js";

/** 1 where all numbers are finite, else 0: fp32 `[1]`, without waiting for the device. */
export function allFinite(tensors: readonly Tensor[]): Tensor {
  const [first] = tensors;
  if (first !== undefined && hasKernel("crossblock::all_finite", first)) {
    return callTensor("crossblock::all_finite", [tensors]);
  }
  const sum = Tensor.stack(tensors.map((tensor) => tensor.sum())).sum();
  return sum.sub(sum).eq(0).to("float32").reshape([1]);
}
