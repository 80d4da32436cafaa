import { callTensor, callTensors, differentiable, hasKernel, type Tensor } from "../../../tensor/index.js";
import type { NormWeights } from "../../unit-weights.js";
import type { NormSpec } from "../spec/decoder-spec.js";

/**
 * An RMS norm or LayerNorm over the last dimension, computed in fp32 at least, returned in the dtype of `x`. Differentiable
 * in `x` and in gains and shifts, which may be in fp32 beside another dtype of `x`.
 */
export function normalise(x: Tensor, { weight, bias }: NormWeights, { kind, eps }: NormSpec): Tensor {
  if (kind === "layer") return x.layerNorm(weight.to(x.dtype), bias?.to(x.dtype) ?? null, eps);
  if (hasKernel(fused, x) && (weight.dtype === x.dtype || weight.requiresGrad)) return fusedRmsNorm(x, weight, eps);
  const wide = x.dtype === "float64" ? x : x.to("float32");
  return wide.mul(wide.square().mean(-1, true).add(eps).rsqrt()).to(x.dtype).mul(weight.to(x.dtype));
}

const fused = "crossblock::rms_norm";

function fusedRmsNorm(x: Tensor, weight: Tensor, eps: number): Tensor {
  const inputs = weight.requiresGrad ? [x, weight] : [x];
  return differentiable(
    inputs,
    () => {
      const gain = weight.dtype === x.dtype ? weight.detach() : weight.detach().to(x.dtype);
      const [output, inverse] = callTensors(fused, [x, gain, eps]) as [Tensor, Tensor];
      return { output, saved: [x, gain, inverse] };
    },
    (gradient, [input, gain, inverse]) => {
      const dx = callTensor(`${fused}_backward`, [gradient, input, gain, inverse]);
      return inputs.length === 1 ? [dx] : [dx, gainGradient(gradient, input as Tensor, inverse as Tensor)];
    },
  );
}

// `sum over rows of gradient x / rms(x)`, fp32 `[width]`.
function gainGradient(gradient: Tensor, x: Tensor, inverse: Tensor): Tensor {
  const rows = (of: Tensor): Tensor => of.reshape([-1, x.size(-1)]).to("float32");
  return rows(x)
    .mul(inverse.reshape([-1, 1]))
    .mul(rows(gradient))
    .sum(0);
}
