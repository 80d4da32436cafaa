import { callTensor, callTensors, differentiable, hasKernel, type Tensor } from "../../tensor/index.js";

export interface ObjectiveOptions {
  /** The squared error: `plain`, or divided token by token, so that tokens with massive activations count like any other. */
  readonly l2: "plain" | "token";
  readonly l2Weight: number;
  /** Weight of `KL(softmax(y) || softmax(y'))` over the hidden dimension, mean over tokens. */
  readonly klWeight: number;
}

/**
 * How far the quantized window's output `actual` lies from `target`, both `[batch, time, hidden]`:
 * `E = c2 * L2 + ck * KL`, a scalar. Source: CBQ (arXiv 2312.07950) section 3.2;
 * the normalisations are ours.
 */
export function reconstructionError(target: Tensor, actual: Tensor, options: ObjectiveOptions): Tensor {
  const { l2, l2Weight, klWeight } = options;
  const squared = squaredError(target, actual, l2);
  const weighted = l2Weight === 1 ? squared : squared.mul(l2Weight);
  return klWeight === 0 ? weighted : weighted.add(hiddenDivergence(target, actual).mul(klWeight));
}

/** The squared error alone, as {@link ObjectiveOptions.l2} says; shapes as those of {@link reconstructionError}. */
export function squaredError(target: Tensor, approximate: Tensor, kind: ObjectiveOptions["l2"]): Tensor {
  if (kind === "token" && target.dtype === approximate.dtype && hasKernel(fused, approximate)) {
    return fusedTokenError(target, approximate);
  }
  const [y, actual] = [target.to("float32"), approximate.to("float32")];
  const error = actual.sub(y).square();
  switch (kind) {
    case "plain":
      return error.mean();
    case "token":
      return error.mean(-1).div(y.square().mean(-1).clamp(1e-12)).mean();
  }
}

const fused = "crossblock::token_error";

function fusedTokenError(y: Tensor, actual: Tensor): Tensor {
  return differentiable(
    [actual],
    () => {
      const [output, inverse] = callTensors(fused, [y, actual]) as [Tensor, Tensor];
      return { output, saved: [y, actual, inverse] };
    },
    (gradient, saved) => [callTensor(`${fused}_backward`, [gradient, ...saved])],
  );
}

function hiddenDivergence(y: Tensor, actual: Tensor): Tensor {
  const expected = y.to("float32").logSoftmax(-1);
  return expected
    .exp()
    .mul(expected.sub(actual.to("float32").logSoftmax(-1)))
    .sum(-1)
    .mean();
}
