import { callTensor, callTensors, differentiable, hasKernel, hasOperator, Tensor } from "../../../../tensor/index.js";

/** Queries `[batch, heads, time, headDim]`, keys and values `[batch, kvHeads, seen, headDim]`. */
export interface AttentionInputs {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  /** Tokens that a token sees, itself included; null for all before it. */
  readonly slidingWindow: number | null;
  /** Factor of the scores; one over the root of a head's width where it is not given. */
  readonly scale?: number;
  /** `softcap * tanh(scores / softcap)` in place of the scores. */
  readonly softcap?: number | null;
  /** What the scores of each head fall by from a key to the one before it, `[heads]`. */
  readonly slopes?: Tensor | null;
  /** A score of each head that takes part in the softmax and carries no value, `[heads]`. */
  readonly sinks?: Tensor | null;
}

/** Libtorch's flash and memory-efficient kernels: since 2.0. */
const fused = "aten::scaled_dot_product_attention";

/** Our own for the CPU, where libtorch 1.13 has none and later ones no grouped heads and no window. */
const tiled = "crossblock::causal_attention";
const HEAD_DIM_UNIT = 16;

/**
 * Causal softmax attention, `[batch, heads, time, headDim]`. The last query sees the last key; heads
 * that share keys and values lie side by side. Differentiable.
 */
export function causalAttention(inputs: AttentionInputs): Tensor {
  const { q, k, v, slidingWindow, softcap = null, slopes = null, sinks = null } = inputs;
  if (softcap !== null || slopes !== null || sinks !== null || v.size(3) !== q.size(3))
    return composedAttention(inputs);
  if (q.size(3) % HEAD_DIM_UNIT === 0 && hasKernel(tiled, q)) return tiledAttention(inputs);
  const [time, seen] = [q.size(2), k.size(2)];
  const masked = slidingWindow !== null && seen > slidingWindow;
  if (!masked && (time === seen || time === 1) && hasOperator(fused)) return fusedAttention(inputs, time > 1);
  return composedAttention(inputs);
}

function scaleOf({ q, scale }: AttentionInputs): number {
  return scale ?? 1 / Math.sqrt(q.size(3));
}

function tiledAttention(inputs: AttentionInputs): Tensor {
  const { q, k, v, slidingWindow } = inputs;
  const scale = scaleOf(inputs);
  return differentiable(
    [q, k, v],
    () => {
      const [output, logSum] = callTensors(tiled, [q, k, v, scale, slidingWindow]) as [Tensor, Tensor];
      return { output, saved: [q, k, v, output.detach(), logSum] };
    },
    (gradient, saved) => callTensors(`${tiled}_backward`, [gradient, ...saved, scale, slidingWindow]),
  );
}

function fusedAttention({ q, k, v, scale }: AttentionInputs, causal: boolean): Tensor {
  const group = q.size(1) / k.size(1);
  const [batch, kvHeads, seen, headDim] = k.shape as readonly [number, number, number, number];
  const repeat = (x: Tensor): Tensor =>
    group === 1
      ? x
      : x
          .unsqueeze(2)
          .expand([batch, kvHeads, group, seen, headDim])
          .reshape([batch, kvHeads * group, seen, headDim]);
  // It divides by the root of the width itself.
  const usual = 1 / Math.sqrt(headDim);
  const queries = scale === undefined || scale === usual ? q : q.mul(scale / usual);
  return callTensor(fused, [queries, repeat(k), repeat(v), null, 0, causal]);
}

/**
 * Queries that are computed together by `composedAttention`. Scores of keys that no query of a piece sees are never
 * computed, and those of a piece stay in the cache: on 2 cores a forward pass over 512 tokens takes a quarter of the
 * time that one product over all queries takes, one with its backward pass a third (64 to 256 are alike).
 */
const piece = 128;

/**
 * Attention out of elementary operators. The heads of one group are folded into the rows of one product, so keys and
 * values are never copied per head. Values may have any width, and may be the same for all heads (`[batch, 1, seen, n]`).
 */
export function composedAttention(inputs: AttentionInputs): Tensor {
  const { q, k, v, slidingWindow, softcap = null, slopes = null, sinks = null } = inputs;
  const width = v.size(3);
  const [batch, heads, time, headDim] = q.shape as readonly [number, number, number, number];
  const [kvHeads, seen] = [k.size(1), k.size(2)];
  const group = heads / kvHeads;
  const scaled = q.mul(scaleOf(inputs)).reshape([batch, kvHeads, group, time, headDim]);
  const keys = k.transpose(2, 3);
  const pieces: Tensor[] = [];
  for (let first = 0; first < time; first += piece) {
    const rows = Math.min(piece, time - first);
    // Key that the first query of the piece sees last, and the range that any of them sees.
    const own = seen - time + first;
    const begin = slidingWindow === null ? 0 : Math.max(0, own - slidingWindow + 1);
    const length = own + rows - begin;
    const products = scaled
      .narrow(3, first, rows)
      .reshape([batch, kvHeads, group * rows, headDim])
      .matmul(keys.narrow(3, begin, length))
      .reshape([batch, kvHeads, group, rows, length]);
    const capped = softcap === null ? products : products.div(softcap).tanh().mul(softcap);
    const scores = slopes === null ? capped : capped.add(fallingScores(slopes, kvHeads, length));
    // A single query sees its whole range.
    const visible = rows === 1 ? scores : scores.add(blockedKeys(rows, length, own - begin, slidingWindow, q));
    pieces.push(
      (sinks === null ? visible.softmax(-1) : softmaxWithSinks(visible, sinks))
        .reshape([batch, kvHeads, group * rows, length])
        .matmul(v.narrow(2, begin, length))
        .reshape([batch, kvHeads, group, rows, width]),
    );
  }
  const [whole] = pieces;
  return (whole !== undefined && pieces.length === 1 ? whole : Tensor.cat(pieces, 3)).reshape([
    batch,
    heads,
    time,
    width,
  ]);
}

// Counted from the last key, because the softmax takes no notice of what is added to all: [1, kvHeads, group, 1, length].
function fallingScores(slopes: Tensor, kvHeads: number, length: number): Tensor {
  const places = Tensor.arange(length, { dtype: "float32", device: slopes.device }).sub(length - 1);
  return slopes.reshape([1, kvHeads, -1, 1, 1]).mul(places.to(slopes.dtype));
}

// Scores [batch, kvHeads, group, rows, length] as shares of all keys and the head's sink.
function softmaxWithSinks(scores: Tensor, sinks: Tensor): Tensor {
  const [batch, kvHeads, group, rows, length] = scores.shape as readonly [number, number, number, number, number];
  const column = sinks.to(scores.dtype).reshape([1, kvHeads, group, 1, 1]).expand([batch, kvHeads, group, rows, 1]);
  return Tensor.cat([scores, column], 4).softmax(-1).narrow(4, 0, length);
}

// 0 where a query may look, -infinity elsewhere, [rows, length]; query i has the key own + i.
function blockedKeys(rows: number, length: number, own: number, slidingWindow: number | null, like: Tensor): Tensor {
  const blocked = Tensor.full([rows, length], Number.NEGATIVE_INFINITY, { dtype: like.dtype, device: like.device });
  const future = blocked.triu(own + 1);
  return slidingWindow === null ? future : future.add(blocked.tril(own - slidingWindow));
}
