import type { Tensor } from "../../../../tensor/index.js";
import { tensorOf } from "../../../unit-weights.js";
import type { ShortConvolutionSpec } from "../../spec/decoder-spec.js";
import type { Sublayer } from "../forward-context.js";
import { causalConvolution } from "./causal-convolution.js";

/**
 * A gated short convolution: one Linear gives two gates and an input, and `c * conv(b * x)` goes through another.
 * Source: LFM2's released definition (Liquid AI).
 */
export function shortConvolution(
  { channels, bias }: ShortConvolutionSpec,
  x: Tensor,
  { weights, context, apply }: Sublayer,
): Tensor {
  const state = context.cache?.state;
  const parts = apply("convolutionIn", x);
  const [b, c, input] = [0, 1, 2].map((part) => parts.narrow(2, part * channels, channels)) as [Tensor, Tensor, Tensor];
  const taps = tensorOf(weights, "convolution");
  const { mixed, inputs } = causalConvolution(b.mul(input).transpose(1, 2), taps, state?.held?.inputs ?? null);
  state?.advance({ inputs, memory: null }, x.size(1));
  const shifted = bias ? mixed.add(tensorOf(weights, "convolutionBias").to(x.dtype)) : mixed;
  return apply("convolutionOut", c.mul(shifted));
}
