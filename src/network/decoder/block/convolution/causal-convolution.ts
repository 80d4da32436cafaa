import { Tensor } from "../../../../tensor/index.js";

/** What a causal convolution gives, `[batch, time, channels]`, and the last inputs that the next one needs. */
export interface Convolved {
  readonly mixed: Tensor;
  /** `[batch, channels, kernel - 1]` */
  readonly inputs: Tensor;
}

/**
 * A causal convolution of each channel of `x [batch, channels, time]` by itself.
 *
 * @param taps `[channels, 1, kernel]`, the last of which is of the present position
 * @param before the inputs before `x`, `[batch, channels, kernel - 1]`; null where there were none
 */
export function causalConvolution(x: Tensor, taps: Tensor, before: Tensor | null): Convolved {
  const [batch, channels, time] = x.shape as readonly [number, number, number];
  const kernel = taps.size(2);
  const past = before ?? Tensor.zeros([batch, channels, kernel - 1], { dtype: x.dtype, device: x.device });
  const all = Tensor.cat([past.to(x.dtype), x], 2);
  const own = taps.to(x.dtype);
  let sum: Tensor | null = null;
  for (let tap = 0; tap < kernel; tap++) {
    const term = all.narrow(2, tap, time).mul(own.narrow(2, tap, 1).reshape([1, channels, 1]));
    sum = sum === null ? term : sum.add(term);
  }
  return { mixed: (sum ?? x).transpose(1, 2), inputs: all.narrow(2, time, kernel - 1) };
}
