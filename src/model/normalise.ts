import { callTensor, callTensors, differentiable, hasKernel, type Tensor } from "../tensor/index.js";
import type { NormSpec } from "./decoder-spec.js";
import type { NormWeights } from "./weights.js";

/**
 * An RMS norm or LayerNorm over the last dimension, computed in fp32 at least, returned in the dtype of `x`; gains and
 * shifts may be in another.
 */
export function normalise(x: Tensor, { weight, bias }: NormWeights, { kind, eps }: NormSpec): Tensor {
  if (kind === "layer") return x.layerNorm(weight.to(x.dtype), bias?.to(x.dtype) ?? null, eps);
  if (hasKernel(fused, x) && weight.dtype === x.dtype && !weight.requiresGrad) return fusedRmsNorm(x, weight, eps);
  const wide = x.dtype === "float64" ? x : x.to("float32");
  return wide.mul(wide.square().mean(-1, true).add(eps).rsqrt()).to(x.dtype).mul(weight.to(x.dtype));
}

const fused = "crossblock::rms_norm";

function fusedRmsNorm(x: Tensor, weight: Tensor, eps: number): Tensor {
  return differentiable(
    [x],
    () => {
      const [output, inverse] = callTensors(fused, [x, weight, eps]) as [Tensor, Tensor];
      return { output, saved: [x, weight, inverse] };
    },
    (gradient, saved) => [callTensor(`${fused}_backward`, [gradient, ...saved])],
  );
}
