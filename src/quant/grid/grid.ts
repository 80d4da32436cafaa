import { callTensor, differentiable, hasKernel, type Tensor } from "../../tensor/index.js";
import { levels } from "../scheme.js";

/**
 * The integer grid of one weight: `w = scale * (code - zeroPoint)`, code in `[0, 2^bits - 1]`.
 * A symmetric grid has its zero point fixed at `2^(bits-1)` and a signed scale, whose sign gives the
 * longer tail the extra level.
 */
export interface Grid {
  readonly bits: number;
  readonly symmetric: boolean;
  /** Bits of each group of columns, where they differ: `bits` are then those of the widest code. */
  readonly groupBits?: readonly number[] | undefined;
  /** Columns per group. */
  readonly groupSize: number;
  /** fp32 `[out, groups, 1]`. */
  readonly scale: Tensor;
  /** fp32 integers `[out, groups, 1]`; of a group of one bit a fraction. */
  readonly zeroPoint: Tensor;
}

/** Codes on a grid. */
export interface Codes extends Grid {
  /** fp32 integers `[out, in]`, 0 to `2^bits - 1`. */
  readonly codes: Tensor;
}

/** Smallest magnitude of a scale, so that dividing by it stays finite in fp16. */
export const SMALLEST_SCALE = 1e-5;

/** A weight `[out, in]` as `[out, groups, groupSize]`. */
export function grouped(weight: Tensor, groupSize: number): Tensor {
  return weight.reshape([weight.size(0), weight.size(1) / groupSize, groupSize]);
}

/** `[out, groups, groupSize]` back to `[out, in]`. */
export function ungrouped(weight: Tensor): Tensor {
  return weight.reshape([weight.size(0), weight.size(1) * weight.size(2)]);
}

/** Scales as every export stores them: exact in fp16, magnitude at least 1e-5, sign kept. */
export function storableScale(scale: Tensor): Tensor {
  const sign = scale.ge(0).to("float32").mul(2).sub(1);
  return scale.abs().clamp(SMALLEST_SCALE, 65504).to("float16").to("float32").mul(sign);
}

/** Round to nearest on a grid: codes of a weight `[out, in]`. */
export function roundToNearest(weight: Tensor, grid: Grid): Codes {
  const codes = grouped(weight, grid.groupSize)
    .div(grid.scale)
    .round()
    .add(grid.zeroPoint)
    .clamp(0, levels(grid.bits) - 1);
  return { ...grid, codes: ungrouped(codes) };
}

/** The weight `[out, in]` that codes stand for, fp32. */
export function dequantize({ codes, groupSize, scale, zeroPoint }: Codes): Tensor {
  return ungrouped(grouped(codes, groupSize).sub(zeroPoint).mul(scale));
}

/** The round function with the gradient of the identity (straight through). */
export function roundThrough(x: Tensor): Tensor {
  return differentiable(
    [x],
    () => ({ output: x.round() }),
    (gradient) => [gradient],
  );
}

/**
 * `x` bounded to [`least`, `most`], with the gradient 1 at the bounds too. Libtorch's own clamp passes none there since
 * 2.15, and at two bits half of all codes lie on a bound.
 */
export function clampThrough(x: Tensor, least: number, most: number): Tensor {
  return differentiable(
    [x],
    () => ({ output: x.clamp(least, most), saved: [x] }),
    (gradient, [input]) => {
      const inside = (input as Tensor).ge(least).mul((input as Tensor).le(most));
      return [gradient.mul(inside.to(gradient.dtype))];
    },
  );
}

/** `storableScale(start exp(logarithm))`, with the gradient of the logarithm straight through the rounding. */
export function learntScale(start: Tensor, logarithm: Tensor): Tensor {
  if (!hasKernel(fused, logarithm)) return storableScaleThrough(start.mul(logarithm.exp()));
  return differentiable(
    [logarithm],
    () => ({ output: callTensor(fused, [start, logarithm]), saved: [start, logarithm] }),
    (gradient, saved) => [callTensor(`${fused}_backward`, [gradient, ...saved])],
  );
}

const fused = "crossblock::learnt_scale";

/** `storableScale` with the gradient of the identity (straight through). */
export function storableScaleThrough(scale: Tensor): Tensor {
  return differentiable(
    [scale],
    () => ({ output: storableScale(scale) }),
    (gradient) => [gradient],
  );
}
