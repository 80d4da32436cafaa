import type { DType } from "../tensor/index.js";

/** The dtype in which a fused rounding gives its result where `dtype` is wanted. */
export function kernelResult(dtype: DType): DType {
  return dtype === "bfloat16" ? "bfloat16" : "float32";
}
