import type { Tensor } from "../../../tensor/index.js";
import { applyLinear } from "../../apply-linear.js";
import type { Hooks } from "../../unit.js";
import { normWeights, type UnitWeights } from "../../unit-weights.js";
import type { DecoderSpec, LinearRole } from "../spec/decoder-spec.js";
import { activate, activateGate } from "./activation.js";
import { causalAttention } from "./attention.js";
import type { KeyValueCache } from "./key-value-cache.js";
import { normalise } from "./normalise.js";
import type { RotaryTable } from "./rotary.js";

/** What a block runs with, beside its weights and its input. */
export interface ForwardContext extends Hooks {
  /** Null for models with learned positions, which the embedding adds. */
  readonly rotary: RotaryTable | null;
  /** Keys and values of earlier tokens; the input then starts after them. */
  readonly cache?: KeyValueCache;
}

/**
 * One block: `x + attention(norm(x))`, then the same with the MLP. Input and output
 * `[batch, time, hidden]`; differentiable; needs nothing but its own input stream.
 */
export function forwardBlock(spec: DecoderSpec, weights: UnitWeights, x: Tensor, context: ForwardContext): Tensor {
  const apply = (role: LinearRole, input: Tensor): Tensor => applyLinear(weights, context, role, input);
  const attended = x.add(
    attention(spec, weights, normalise(x, normWeights(weights, "attentionNorm"), spec.norm), context, apply),
  );
  return attended.add(mlp(spec, normalise(attended, normWeights(weights, "mlpNorm"), spec.norm), apply));
}

type Apply = (role: LinearRole, input: Tensor) => Tensor;

function attention(spec: DecoderSpec, weights: UnitWeights, x: Tensor, context: ForwardContext, apply: Apply): Tensor {
  const { heads, kvHeads, headDim, slidingWindow } = spec.attention;
  const [batch, time] = [x.size(0), x.size(1)];
  const split = (y: Tensor, count: number): Tensor => y.reshape([batch, time, count, headDim]);
  const offset = context.cache?.length ?? 0;
  const place = (y: Tensor): Tensor => {
    const byHead = y.transpose(1, 2);
    return context.rotary === null ? byHead : context.rotary.rotate(byHead, offset);
  };
  const headNorm = { kind: "rms", eps: spec.norm.eps } as const;
  const normed = (y: Tensor, name: "qNorm" | "kNorm"): Tensor => {
    const norm = weights.norms.get(name);
    return norm === undefined ? y : normalise(y, norm, headNorm);
  };
  const q = place(normed(split(apply("q", x), heads), "qNorm"));
  let k = place(normed(split(apply("k", x), kvHeads), "kNorm"));
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
