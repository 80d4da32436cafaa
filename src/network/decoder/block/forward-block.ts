import type { Tensor } from "../../../tensor/index.js";
import type { DecoderSpec, LinearRole } from "../spec/decoder-spec.js";
import type { BlockWeights, LinearWeights } from "../weights.js";
import { activate, activateGate } from "./activation.js";
import { causalAttention } from "./attention.js";
import type { KeyValueCache } from "./key-value-cache.js";
import { normalise } from "./normalise.js";
import type { RotaryTable } from "./rotary.js";

/**
 * How a Linear is computed. Quantization puts its own function here: fake-quantized weights and
 * inputs, or an observer of inputs.
 */
export type LinearApply = (role: LinearRole, input: Tensor, linear: LinearWeights) => Tensor;

export interface ForwardContext {
  /** Null for models with learned positions, which the embedding adds. */
  readonly rotary: RotaryTable | null;
  /** Keys and values of earlier tokens; the input then starts after them. */
  readonly cache?: KeyValueCache;
  /** Defaults to `x W^T + b`. */
  readonly linear?: LinearApply;
}

const plainLinear: LinearApply = (_role, input, { weight, bias }) => input.linear(weight, bias);

/**
 * One block: `x + attention(norm(x))`, then the same with the MLP. Input and output
 * `[batch, time, hidden]`; differentiable; needs nothing but its own input stream.
 */
export function forwardBlock(spec: DecoderSpec, weights: BlockWeights, x: Tensor, context: ForwardContext): Tensor {
  const apply = (role: LinearRole, input: Tensor): Tensor => {
    const linear = weights.linears.get(role);
    if (linear === undefined) throw new TypeError(`a ${spec.family} block has no Linear "${role}"`);
    return (context.linear ?? plainLinear)(role, input, linear);
  };
  const attended = x.add(
    attention(spec, weights, normalise(x, weights.norms.attentionNorm, spec.norm), context, apply),
  );
  return attended.add(mlp(spec, normalise(attended, weights.norms.mlpNorm, spec.norm), apply));
}

type Apply = (role: LinearRole, input: Tensor) => Tensor;

function attention(spec: DecoderSpec, weights: BlockWeights, x: Tensor, context: ForwardContext, apply: Apply): Tensor {
  const { heads, kvHeads, headDim, slidingWindow } = spec.attention;
  const [batch, time] = [x.size(0), x.size(1)];
  const split = (y: Tensor, count: number): Tensor => y.reshape([batch, time, count, headDim]);
  const offset = context.cache?.length ?? 0;
  const place = (y: Tensor): Tensor => {
    const byHead = y.transpose(1, 2);
    return context.rotary === null ? byHead : context.rotary.rotate(byHead, offset);
  };
  const headNorm = { kind: "rms", eps: spec.norm.eps } as const;
  const normed = (y: Tensor, norm: BlockWeights["qNorm"]): Tensor => (norm === null ? y : normalise(y, norm, headNorm));
  const q = place(normed(split(apply("q", x), heads), weights.qNorm));
  let k = place(normed(split(apply("k", x), kvHeads), weights.kNorm));
  let v = split(apply("v", x), kvHeads).transpose(1, 2);
  if (context.cache !== undefined) {
    ({ keys: k, values: v } = context.cache.append(k, v));
  }
  const mixed = causalAttention({ q, k, v, slidingWindow });
  return apply("o", mixed.transpose(1, 2).reshape([batch, time, heads * headDim]));
}

function mlp(spec: DecoderSpec, x: Tensor, apply: Apply): Tensor {
  const { kind, activation } = spec.mlp;
  const hidden =
    kind === "gated"
      ? activateGate(apply("gate", x), apply("up", x), activation)
      : activate(apply("up", x), activation);
  return apply("down", hidden);
}
