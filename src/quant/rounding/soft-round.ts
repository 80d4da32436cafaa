import { callTensor, callTensors, differentiable, hasKernel, type Tensor } from "../../tensor/index.js";
import { clampThrough, type Grid, grouped, roundThrough } from "../grid.js";
import { levels } from "../scheme.js";
import { committed, h, hInverse } from "./rectified-sigmoid.js";
import type { Commitment } from "./rounding.js";

/** What is added to `V0`: a matrix `right [out, in]`, or the product of `left [out, r]` and `right [r, in]`. */
export interface Offset {
  readonly left: Tensor | null;
  readonly right: Tensor;
}

/** What soft rounding computes with. */
export interface SoftInputs {
  /** fp32 `[out, groups, groupSize]`. */
  readonly weight: Tensor;
  /** The scale `s0` that `B` and `V0` are frozen at, `[out, groups, 1]`. */
  readonly startScale: Tensor;
  /** In place of `V0`, `[out, groups, groupSize]`. */
  readonly start: Tensor | null;
  readonly offset: Offset;
  readonly grid: Pick<Grid, "bits" | "symmetric" | "scale" | "zeroPoint">;
}

/**
 * `w = s (clip(B + h(V0 + offset) + round(z)) - round(z))`, `[out, groups, groupSize]`; `B = floor(W / s0)` and
 * `V0 = h^-1(frac(W / s0))` follow from `W` and `s0` and take no memory. Differentiable in the offset, `s` and `z`;
 * with `commitment` its gradient joins that of the offset.
 */
export function softRound(inputs: SoftInputs, commitment: Commitment | null): Tensor {
  return inputs.start === null && hasKernel(fused, inputs.weight)
    ? fusedSoftRound(inputs, commitment)
    : composedSoftRound(inputs, commitment);
}

/** The same out of libtorch's operators: for devices without the kernel, and what it is tested against. */
export function composedSoftRound(inputs: SoftInputs, commitment: Commitment | null): Tensor {
  const { bits, symmetric, scale } = inputs.grid;
  const zeroPoint = symmetric ? inputs.grid.zeroPoint : roundThrough(inputs.grid.zeroPoint);
  const { floor, soft } = softChoice(inputs);
  const choice = commitment === null ? soft : committed(soft, commitment);
  const codes = clampThrough(floor.add(choice).add(zeroPoint), 0, levels(bits) - 1);
  return codes.sub(zeroPoint).mul(scale);
}

/** `B` and `h(V0 + offset)`, both `[out, groups, groupSize]`. */
export function softChoice({ weight, startScale, start, offset }: SoftInputs): { floor: Tensor; soft: Tensor } {
  const units = weight.div(startScale);
  const floor = units.floor();
  const V0 = start ?? hInverse(units.sub(floor));
  const { left, right } = offset;
  return { floor, soft: h(V0.add(grouped(left === null ? right : left.matmul(right), weight.size(2)))) };
}

const fused = "crossblock::soft_round";

function fusedSoftRound(
  { weight, startScale, offset: { left, right }, grid: { bits, scale, zeroPoint } }: SoftInputs,
  commitment: Commitment | null,
): Tensor {
  const penalty = commitment === null ? 0 : commitment.weight / (weight.size(0) * weight.size(1) * weight.size(2));
  const factors = left === null ? [right] : [right, left];
  return differentiable(
    [...factors, scale, zeroPoint],
    () => ({
      output: callTensor(fused, [weight, startScale, right, left, scale, zeroPoint, bits]),
      saved: [weight, startScale, scale, zeroPoint, ...factors],
    }),
    (gradient, [w, s0, s, z, d, a1 = null]) => {
      const results = callTensors(`${fused}_backward`, [
        ...[gradient, w, s0, d, a1, s, z, bits],
        ...[penalty, commitment?.beta ?? 0],
      ]) as [Tensor, Tensor, Tensor, Tensor];
      const [dRight, dLeft, dScale, dZeroPoint] = results;
      return [...(a1 === null ? [dRight] : [dRight, dLeft]), dScale, dZeroPoint];
    },
  );
}
