import type { Tensor } from "../../../tensor/index.js";
import { applyLinear } from "../../apply-linear.js";
import type { AttentionValues, Hooks } from "../../unit.js";
import { normWeights, type UnitWeights } from "../../unit-weights.js";
import type { DecoderSpec, LinearRole } from "../spec/decoder-spec.js";
import { activate, activateGate } from "./activation.js";
import { causalAttention, composedAttention } from "./attention.js";
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
  const [queries, keys] = [split(apply("q", x), heads), split(apply("k", x), kvHeads)];
  const q = place(normed(queries, "qNorm"));
  let k = place(normed(keys, "kNorm"));
  let v = split(apply("v", x), kvHeads).transpose(1, 2);
  context.attention?.({
    input: x,
    q,
    k,
    mix: (some, theirs, values) => composedAttention({ q: some, k: theirs, v: values, slidingWindow }),
    unrotated: (form) => context.rotary?.unrotated(form, time) ?? form,
    headNorms: headNorms(weights, queries, keys),
  });
  if (context.cache !== undefined) {
    ({ keys: k, values: v } = context.cache.append(k, v));
  }
  const mixed = causalAttention({ q, k, v, slidingWindow });
  return apply("o", mixed.transpose(1, 2).reshape([batch, time, heads * headDim]));
}

function headNorms({ norms }: UnitWeights, queries: Tensor, keys: Tensor): AttentionValues["headNorms"] {
  const [q, k] = [norms.get("qNorm"), norms.get("kNorm")];
  if (q === undefined || k === undefined) return null;
  return { q: { before: queries, gains: q.weight }, k: { before: keys, gains: k.weight } };
}

function mlp(spec: DecoderSpec, x: Tensor, apply: Apply): Tensor {
  const { kind, activation } = spec.mlp;
  const hidden =
    kind === "gated"
      ? activateGate(apply("gate", x), apply("up", x), activation)
      : activate(apply("up", x), activation);
  return apply("down", hidden);
}
