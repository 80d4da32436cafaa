import {
  callTensor,
  callTensors,
  type DType,
  differentiable,
  dtypeCode,
  hasKernel,
  Tensor,
} from "../../tensor/index.js";
import { clampThrough, type Grid, roundThrough } from "../grid/grid.js";
import { kernelResult } from "../kernel-result.js";
import { levels } from "../scheme.js";

/** What code-unit rounding computes with: `weight` and `V` `[out, groups, groupSize]`, the grid's scale as learnt. */
export interface CodeUnitInputs {
  readonly weight: Tensor;
  readonly V: Tensor;
  readonly grid: Pick<Grid, "bits" | "symmetric" | "scale" | "zeroPoint">;
}

/**
 * `w = s (clip(round(W / s + V) + round(z)) - round(z))`, `[out, groups, groupSize]`, with straight-through rounds:
 * differentiable in `V`, `s`, and in `z` where the grid is asymmetric. Computed in fp32, given in `dtype`.
 */
export function codeUnitRound(inputs: CodeUnitInputs, dtype: DType = "float32"): Tensor {
  return hasKernel(fused, inputs.weight)
    ? fusedCodeUnitRound(inputs, kernelResult(dtype)).to(dtype)
    : composedCodeUnitRound(inputs).to(dtype);
}

/** The same out of libtorch's operators: for devices without the kernel, and what it is tested against. */
export function composedCodeUnitRound({ weight, V, grid }: CodeUnitInputs): Tensor {
  const zeroPoint = grid.symmetric ? grid.zeroPoint : roundThrough(grid.zeroPoint);
  const codes = clampThrough(roundThrough(weight.div(grid.scale).add(V)).add(zeroPoint), 0, levels(grid.bits) - 1);
  return codes.sub(zeroPoint).mul(grid.scale);
}

const fused = "crossblock::code_unit_round";

function fusedCodeUnitRound({ weight, V, grid: { bits, scale, zeroPoint } }: CodeUnitInputs, dtype: DType): Tensor {
  return differentiable(
    [V, scale, zeroPoint],
    () => ({
      output: callTensor(fused, [weight, V, scale, zeroPoint, bits, dtypeCode(dtype)]),
      saved: [weight, V, scale, zeroPoint],
    }),
    (gradient, saved) => callTensors(`${fused}_backward`, [gradient, ...saved, bits]),
  );
}

/** A weight `[out, groups, groupSize]` that is trained itself, and the grid that it is rounded on. */
export interface RoundedInputs {
  readonly weight: Tensor;
  /** What the kernel adds to `W / s`: zeros of the weight's shape; null where there is no kernel. */
  readonly none: Tensor | null;
  readonly grid: CodeUnitInputs["grid"];
}

/** What `roundedWeight` needs as `none` for a weight of this shape. */
export function noOffset(weight: Tensor): Tensor | null {
  return hasKernel(fused, weight) ? Tensor.zeros(weight.shape, { device: weight.device }) : null;
}

/**
 * `w = s (clip(round(W / s) + round(z)) - round(z))`, `[out, groups, groupSize]`, with straight-through rounds: differentiable
 * in `W`, to which a clipped code passes nothing, in `s`, and in `z` where the grid is asymmetric. Given in `dtype`.
 */
export function roundedWeight({ weight, none, grid }: RoundedInputs, dtype: DType = "float32"): Tensor {
  const { bits, symmetric, scale, zeroPoint } = grid;
  if (none === null) {
    const z = symmetric ? zeroPoint : roundThrough(zeroPoint);
    const codes = clampThrough(roundThrough(weight.div(scale)).add(z), 0, levels(bits) - 1);
    return codes.sub(z).mul(scale).to(dtype);
  }
  // The kernel rounds W / s + V and gives the gradient of V, which is s times that of W.
  return differentiable(
    [weight, scale, zeroPoint],
    () => ({
      output: callTensor(fused, [weight, none, scale, zeroPoint, bits, dtypeCode(kernelResult(dtype))]),
      saved: [weight, scale, zeroPoint],
    }),
    (gradient, [w, s, z]) => {
      const backward = callTensors(`${fused}_backward`, [gradient, w, none, s, z, bits]) as [Tensor, Tensor, Tensor];
      const [dV, dScale, dZeroPoint] = backward;
      return [dV.div(s as Tensor), dScale, dZeroPoint];
    },
  ).to(dtype);
}
