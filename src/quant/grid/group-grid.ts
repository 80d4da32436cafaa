import { type Device, scope, Tensor } from "../../tensor/index.js";
import { levels } from "../scheme.js";
import { storableScale } from "./grid.js";
import type { Range } from "./range.js";

/** Steps that the zero point of a group of one bit counts: it is no whole number, and this keeps the middle exact. */
export const BINARY_STEPS = 254;

/**
 * Bits of the widest code that groups with a mean of these bits may have: one more, of which a Linear need not have any. At 8 bits
 * all groups have 8.
 */
export function widestOf(groupBits: readonly number[]): number {
  const mean = Math.round(groupBits.reduce((sum, bits) => sum + bits, 0) / Math.max(1, groupBits.length));
  return Math.min(8, mean + 1);
}

/** Units of a zero point in which it is stored, fp32 `[1, groups, 1]`: one, and 254 for groups of one bit. */
export function zeroPointUnits(groupBits: readonly number[] | undefined, groups: number, device: Device): Tensor {
  const units = Float32Array.from({ length: groups }, (_, i) => (groupBits?.[i] === 1 ? BINARY_STEPS : 1));
  return Tensor.from(units, [1, groups, 1]).to(device);
}

/**
 * The grid of a group of one bit: `mean|w| sign(w - mean w) + mean w`, the best two values of a symmetric pair around the mean.
 * As `scale (code - zeroPoint)` with codes 0 and 1 the zero point is `1/2 - mean w / (2 mean|w|)`, from 0 to 1, in 254ths.
 * Source: SliM-LLM (arXiv 2405.14917), and its code, whose binarisation it is.
 *
 * @param w fp32 `[out, groups, groupSize]`
 */
export function binaryRange(w: Tensor): Range {
  return scope(() => {
    const [mean, magnitude] = [w.mean(2, true), w.abs().mean(2, true)];
    const scale = storableScale(magnitude.mul(2));
    const zeroPoint = mean.div(scale).neg().add(0.5).clamp(0, 1).mul(BINARY_STEPS).round().div(BINARY_STEPS);
    return { scale, zeroPoint };
  });
}

/** Codes 0 and 1 of a group of one bit: the nearer of its two values, of the shape of `w`. */
export function binaryCodes(w: Tensor, { scale, zeroPoint }: Range): Tensor {
  return w.div(scale).add(zeroPoint).round().clamp(0, 1);
}

/**
 * SliM-LLM's salience-weighted quantizer calibration (SQC): of ranges from 0.9 to 1.1 times that of the weights the one whose error,
 * to the power of 2.4, is least, that of salient weights counted `lambda` times. At `lambda = 1` nothing counts more.
 * Source: SliM-LLM (arXiv 2405.14917), section 3.3.
 *
 * @param w fp32 `[out, 1, columns]`
 * @param salient 1 where a weight is salient, else 0, of the same shape
 */
export function salienceRange(w: Tensor, bits: number, salient: Tensor, lambda: number): Range {
  const top = levels(bits) - 1;
  const importance = salient.mul(lambda - 1).add(1);
  const [minimum, maximum] = [w.amin(2, true).clamp(null, 0), w.amax(2, true).clamp(0)];
  let best: Scored | null = null;
  for (let i = 0; i < RATIOS; i++) {
    const ratio = 0.9 + (0.2 * i) / (RATIOS - 1);
    const before: Scored | null = best;
    best = scope((): Scored => {
      const scale = storableScale(maximum.sub(minimum).mul(ratio / top));
      const zeroPoint = minimum.mul(-ratio).div(scale).round().clamp(0, top);
      const near = w.div(scale).round_().add_(zeroPoint).clamp_(0, top).sub_(zeroPoint).mul_(scale).sub_(w);
      const error = near.abs().pow(2.4).mul(importance).sum(2, true);
      if (before === null) return { scale, zeroPoint, error };
      const wins = error.lt(before.error);
      return {
        scale: Tensor.where(wins, scale, before.scale),
        zeroPoint: Tensor.where(wins, zeroPoint, before.zeroPoint),
        error: Tensor.where(wins, error, before.error),
      };
    });
  }
  const { scale, zeroPoint } = best as Range;
  return { scale, zeroPoint };
}

const RATIOS = 101;

interface Scored extends Range {
  /** `[out, 1, 1]` */
  readonly error: Tensor;
}
