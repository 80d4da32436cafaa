import type { Tensor } from "../tensor/index.js";
import type { NormSpec } from "./decoder-spec.js";
import type { NormWeights } from "./weights.js";

/** An RMS norm or LayerNorm over the last dimension, computed in fp32 at least, returned in the dtype of `x`. */
export function normalise(x: Tensor, { weight, bias }: NormWeights, { kind, eps }: NormSpec): Tensor {
  if (kind === "layer") return x.layerNorm(weight, bias, eps);
  const wide = x.dtype === "float64" ? x : x.to("float32");
  return wide.mul(wide.square().mean(-1, true).add(eps).rsqrt()).to(x.dtype).mul(weight);
}
