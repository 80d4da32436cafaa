import {
  callTensor,
  callTensors,
  type DType,
  differentiable,
  dtypeCode,
  hasKernel,
  Tensor,
} from "../../tensor/index.js";
import { clampThrough, type Grid, grouped, roundThrough } from "../grid/grid.js";
import { kernelResult } from "../kernel-result.js";
import { levels } from "../scheme.js";
import type { RoundingPenalty } from "./weight-path.js";

const zeta = 1.1;
const gamma = -0.1;

/** `h(V) = clip(sigmoid(V) (zeta - gamma) + gamma, 0, 1)`: AdaRound's soft choice between floor and ceiling. */
export function h(v: Tensor): Tensor {
  const stretched = v
    .sigmoid()
    .mul(zeta - gamma)
    .add(gamma);
  return clampThrough(stretched, 0, 1);
}

/** The `V` with `h(V) = x`, for `x` in [0, 1]. */
export function hInverse(x: Tensor): Tensor {
  const p = x.sub(gamma).div(zeta - gamma);
  return p.div(p.neg().add(1)).log();
}

/**
 * Soft choices as they are; the gradient of `weight * L_com`, `L_com = mean(1 - |2h - 1|^beta)`, joins theirs. It is
 * zero when every `h` is 0 or 1. Its value plays no part in training, so it is never computed.
 */
export function penalised(soft: Tensor, penalty: RoundingPenalty): Tensor {
  return differentiable(
    [soft],
    () => ({ output: soft.clone(), saved: [soft, penalty] }),
    (gradient, [choice, term]) => {
      const [weight, beta] = [(term as Tensor).narrow(0, 0, 1), (term as Tensor).narrow(0, 1, 1)];
      const side = (choice as Tensor).mul(2).sub(1);
      const pull = side
        .abs()
        .pow(beta.sub(1))
        .mul(side.sign())
        .mul(beta.mul(weight).mul(-2 / side.numel));
      return [gradient.add(pull)];
    },
  );
}

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
 * with `penalty` its gradient joins that of the offset. Computed in fp32, given in `dtype`.
 * Source: CBQ (arXiv 2312.07950), section 3.3.
 */
export function softRound(inputs: SoftInputs, penalty: RoundingPenalty | null, dtype: DType = "float32"): Tensor {
  return inputs.start === null && hasKernel(fused, inputs.weight) && fitsKernel(inputs.weight)
    ? fusedSoftRound(inputs, penalty, kernelResult(dtype)).to(dtype)
    : composedSoftRound(inputs, penalty).to(dtype);
}

/** A GPU's warp sums over whole groups, or over an equal part of one: 4 columns a lane, 32 lanes. */
function fitsKernel({ device, shape: [, groups = 1, groupSize = 1] }: Tensor): boolean {
  const lanes = groupSize % 4 === 0 ? groupSize / 4 : groupSize;
  return device === "cpu" || groups === 1 || lanes % 32 === 0 || (lanes < 32 && (lanes & (lanes - 1)) === 0);
}

/** The largest rank whose product a GPU's kernel makes on the way; above it, it is a product of its own. */
const LARGEST_FUSED_RANK = 8;

/** The same out of libtorch's operators: for devices without the kernel, and what it is tested against. */
export function composedSoftRound(inputs: SoftInputs, penalty: RoundingPenalty | null): Tensor {
  const { bits, symmetric, scale } = inputs.grid;
  const zeroPoint = symmetric ? inputs.grid.zeroPoint : roundThrough(inputs.grid.zeroPoint);
  const { floor, soft } = softChoice(inputs);
  const choice = penalty === null ? soft : penalised(soft, penalty);
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

function kernelOffset({ left, right }: Offset): Offset {
  const fits = left === null || left.device === "cpu" || left.size(1) <= LARGEST_FUSED_RANK;
  return fits ? { left, right } : { left: null, right: left.matmul(right) };
}

function fusedSoftRound(
  { weight, startScale, offset, grid: { bits, scale, zeroPoint } }: SoftInputs,
  penalty: RoundingPenalty | null,
  dtype: DType,
): Tensor {
  const { left, right } = kernelOffset(offset);
  const factors = left === null ? [right] : [right, left];
  return differentiable(
    [...factors, scale, zeroPoint],
    () => ({
      output: callTensor(fused, [weight, startScale, right, left, scale, zeroPoint, bits, dtypeCode(dtype)]),
      saved: [weight, startScale, scale, zeroPoint, ...factors],
    }),
    (gradient, [w, s0, s, z, d, a1 = null]) => {
      const results = callTensors(`${fused}_backward`, [
        ...[gradient, w, s0, d, a1, s, z, bits],
        penalty ?? Tensor.zeros([2], { device: gradient.device }),
      ]) as [Tensor, Tensor, Tensor, Tensor];
      const [dRight, dLeft, dScale, dZeroPoint] = results;
      return [...(a1 === null ? [dRight] : [dRight, dLeft]), dScale, dZeroPoint];
    },
  );
}
