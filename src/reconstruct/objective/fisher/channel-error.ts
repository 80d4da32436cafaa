import type { Tensor } from "../../../tensor/index.js";

/**
 * How far an output lies from its target, summed over channels, in the mean over examples and positions:
 * `sum_c mean |y - y'|^power`, a scalar. Channels are the second dimension, as in `[n, channels, height, width]`, and the last
 * one of `[n, positions, channels]`.
 *
 * @param weight of every number's error, shaped like the target
 */
export function channelError(target: Tensor, actual: Tensor, power = 2, weight: Tensor | null = null): Tensor {
  const error = actual.to("float32").sub(target.to("float32"));
  const raised = power === 2 ? error.square() : error.abs().pow(power);
  const weighted = weight === null ? raised : raised.mul(weight);
  return weighted.mean().mul(channelsOf(target.shape));
}

/** Channels of an output of this shape. */
export function channelsOf(shape: readonly number[]): number {
  return shape[shape.length === 3 ? 2 : 1] ?? 1;
}
