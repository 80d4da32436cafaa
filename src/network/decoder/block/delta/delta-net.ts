import { callTensor, Tensor } from "../../../../tensor/index.js";
import { normWeights, tensorOf, type UnitWeights } from "../../../unit-weights.js";
import type { DeltaNetSpec } from "../../spec/decoder-spec.js";
import { activate } from "../activation.js";
import { causalConvolution } from "../convolution/causal-convolution.js";
import type { Sublayer } from "../forward-context.js";
import { normalise } from "../normalise.js";
import { gatedDeltaRule } from "./delta-rule.js";

/**
 * A gated delta net: queries, keys and values pass a short causal convolution, then the gated delta rule, and a norm whose output a
 * gate multiplies. Source: Gated Delta Networks (arXiv 2412.06464), and Qwen3-Next's released definition.
 */
export function deltaNet(delta: DeltaNetSpec, x: Tensor, { weights, context, apply }: Sublayer): Tensor {
  const { keyHeads, valueHeads, keyDim, valueDim } = delta;
  const [batch, time] = [x.size(0), x.size(1)];
  const state = context.cache?.state;
  const held = state?.held ?? null;
  const { qkv, z, b, a } = delta.fusedInputs
    ? splitInputs(delta, apply("deltaQkvz", x), apply("deltaBa", x))
    : { qkv: apply("deltaQkv", x), z: apply("deltaZ", x), b: apply("deltaB", x), a: apply("deltaA", x) };
  const taps = tensorOf(weights, "deltaConvolution");
  const { mixed: sums, inputs } = causalConvolution(qkv.transpose(1, 2), taps, held?.inputs ?? null);
  const mixed = activate(sums, delta.activation);
  const keys = keyHeads * keyDim;
  const byHead = (first: number, heads: number, width: number): Tensor =>
    wide(
      mixed
        .narrow(2, first, heads * width)
        .reshape([batch, time, heads, width])
        .transpose(1, 2),
    );
  const repeated = (y: Tensor): Tensor => (keyHeads === valueHeads ? y : y.repeatInterleave(valueHeads / keyHeads, 1));
  const { output, memory } = gatedDeltaRule({
    q: repeated(unitLength(byHead(0, keyHeads, keyDim))).mul(1 / Math.sqrt(keyDim)),
    k: repeated(unitLength(byHead(keys, keyHeads, keyDim))),
    v: byHead(2 * keys, valueHeads, valueDim),
    beta: wide(b.transpose(1, 2)).sigmoid(),
    logDecay: logDecay(weights, wide(a)).transpose(1, 2),
    memory: held?.memory ?? null,
  });
  state?.advance({ inputs, memory }, time);
  const heads = output.transpose(1, 2).to(x.dtype);
  const gate = wide(z.reshape([batch, time, valueHeads, valueDim])).silu();
  const gated = wide(normalise(heads, normWeights(weights, "deltaNorm"), delta.norm))
    .mul(gate)
    .to(x.dtype);
  return apply("deltaOut", gated.reshape([batch, time, valueHeads * valueDim]));
}

interface Inputs {
  /** `[batch, time, 2 keys + values]`: queries, keys and values, one after the other. */
  readonly qkv: Tensor;
  readonly z: Tensor;
  /** `[batch, time, valueHeads]` */
  readonly b: Tensor;
  readonly a: Tensor;
}

// The rows of a head of the keys lie together: its query, its key, then the values and gates of the heads that it serves.
function splitInputs({ keyHeads, valueHeads, keyDim, valueDim }: DeltaNetSpec, qkvz: Tensor, ba: Tensor): Inputs {
  const [batch, time] = [qkvz.size(0), qkvz.size(1)];
  const served = valueHeads / keyHeads;
  const grouped = qkvz.reshape([batch, time, keyHeads, 2 * keyDim + 2 * served * valueDim]);
  const part = (first: number, width: number): Tensor =>
    grouped.narrow(3, first, width).reshape([batch, time, keyHeads * width]);
  const gates = ba.reshape([batch, time, keyHeads, 2 * served]);
  const gatePart = (first: number): Tensor => gates.narrow(3, first, served).reshape([batch, time, valueHeads]);
  const values = served * valueDim;
  return {
    qkv: Tensor.cat([part(0, keyDim), part(keyDim, keyDim), part(2 * keyDim, values)], 2),
    z: part(2 * keyDim + values, values),
    b: gatePart(0),
    a: gatePart(served),
  };
}

// Log of what is kept of the memory at each position, `[batch, time, valueHeads]`; below zero.
function logDecay(weights: UnitWeights, a: Tensor): Tensor {
  const rate = wide(tensorOf(weights, "deltaDecay")).exp().neg();
  return callTensor("aten::softplus", [a.add(wide(tensorOf(weights, "deltaTimeBias")))]).mul(rate);
}

function unitLength(x: Tensor): Tensor {
  return x.mul(x.square().sum(-1, true).add(1e-6).rsqrt());
}

function wide(x: Tensor): Tensor {
  return x.dtype === "float64" ? x : x.to("float32");
}
