import type { DType, Tensor } from "../../tensor/index.js";

/** The dtype in which a fused rounding of `weight` gives its result where `dtype` is wanted: the CPU's know fp32 alone. */
export function kernelResult({ device }: Tensor, dtype: DType): DType {
  return device !== "cpu" && dtype === "bfloat16" ? "bfloat16" : "float32";
}
