import { callTensor, hasOperator, Tensor } from "../tensor/index.js";

/** Queries `[batch, heads, time, headDim]`, keys and values `[batch, kvHeads, seen, headDim]`. */
export interface AttentionInputs {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly slidingWindow: number | null;
}

/**
 * Causal softmax attention, `[batch, heads, time, headDim]`. The last query sees the last key; heads
 * that share keys and values lie side by side.
 */
export function causalAttention(inputs: AttentionInputs): Tensor {
  const { q, k, slidingWindow } = inputs;
  const [time, seen] = [q.size(2), k.size(2)];
  const masked = slidingWindow !== null && seen > slidingWindow;
  if (!masked && (time === seen || time === 1) && hasOperator("aten::scaled_dot_product_attention")) {
    return fusedAttention(inputs, time === seen && time > 1);
  }
  return composedAttention(inputs, time, seen);
}

// libtorch's flash and memory-efficient kernels, since 2.0.
function fusedAttention({ q, k, v }: AttentionInputs, causal: boolean): Tensor {
  const group = q.size(1) / k.size(1);
  const repeat = (x: Tensor): Tensor => (group === 1 ? x : x.repeatInterleave(group, 1));
  return callTensor("aten::scaled_dot_product_attention", [q, repeat(k), repeat(v), null, 0, causal]);
}

// Heads of one group are folded into the rows of one product, so keys and values are never copied.
function composedAttention({ q, k, v, slidingWindow }: AttentionInputs, time: number, seen: number): Tensor {
  const [batch, heads, , headDim] = q.shape as readonly [number, number, number, number];
  const kvHeads = k.size(1);
  const group = heads / kvHeads;
  const folded = q.mul(1 / Math.sqrt(headDim)).reshape([batch, kvHeads, group * time, headDim]);
  const scores = folded.matmul(k.transpose(2, 3)).reshape([batch, kvHeads, group, time, seen]);
  const mask = time === 1 && slidingWindow === null ? null : causalMask(time, seen, slidingWindow, q);
  const weights = (mask === null ? scores : scores.add(mask)).softmax(-1);
  return weights
    .reshape([batch, kvHeads, group * time, seen])
    .matmul(v)
    .reshape([batch, heads, time, headDim]);
}

// 0 where a query may look, -infinity elsewhere, [time, seen].
function causalMask(time: number, seen: number, slidingWindow: number | null, like: Tensor): Tensor {
  const blocked = Tensor.full([time, seen], Number.NEGATIVE_INFINITY, { dtype: like.dtype, device: like.device });
  const future = blocked.triu(1 + seen - time);
  return slidingWindow === null ? future : future.add(blocked.tril(seen - time - slidingWindow));
}
