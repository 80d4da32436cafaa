import { callTensor, callTensors, differentiable, hasKernel, type Tensor } from "../../../tensor/index.js";
import { gainsOf, type NormWeights } from "../../unit-weights.js";
import type { NormSpec } from "../spec/decoder-spec.js";

/**
 * An RMS norm or LayerNorm over the last dimension, computed in fp32 at least, returned in the dtype of `x`; times its matrix, where
 * it has one. Differentiable in `x`, in gains, shifts and matrix, which may be in fp32 beside another dtype of `x`.
 *
 * @param weights null for a norm without gains
 */
export function normalise(x: Tensor, weights: NormWeights | null, spec: Pick<NormSpec, "kind" | "eps">): Tensor {
  const normed = gained(x, weights, spec);
  return weights?.matrix === undefined ? normed : normed.linear(weights.matrix.to(x.dtype), null);
}

function gained(x: Tensor, weights: NormWeights | null, { kind, eps }: Pick<NormSpec, "kind" | "eps">): Tensor {
  if (kind === "layer") {
    const gains = weights === null ? null : gainsIn(weights, x);
    return x.layerNorm(gains?.to(x.dtype) ?? null, weights?.bias?.to(x.dtype) ?? null, eps);
  }
  if (weights === null) return normalised(x, eps);
  const gains = gainsIn(weights, x);
  if (hasKernel(fused, x) && (gains.dtype === x.dtype || gains.requiresGrad)) return fusedRmsNorm(x, gains, eps);
  return normalised(x, eps).mul(gains.to(x.dtype));
}

function normalised(x: Tensor, eps: number): Tensor {
  const wide = x.dtype === "float64" ? x : x.to("float32");
  return wide.mul(wide.square().mean(-1, true).add(eps).rsqrt()).to(x.dtype);
}

// One more than a stored gain is added in fp32 at least, and rounded once.
function gainsIn(weights: NormWeights, x: Tensor): Tensor {
  if (weights.offset === 0) return weights.weight;
  const { weight } = weights;
  const wide = weight.dtype === "float64" || weight.dtype === "float32" ? weight : weight.to("float32");
  const gains = gainsOf({ ...weights, weight: wide });
  return weight.requiresGrad ? gains : gains.to(x.dtype);
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
