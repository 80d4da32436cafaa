import {
  callTensor,
  callTensors,
  type DType,
  differentiable,
  dtypeCode,
  hasKernel,
  type Tensor,
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
