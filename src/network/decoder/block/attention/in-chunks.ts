import { Tensor } from "../../../../tensor/index.js";
import type { AttentionInputs } from "./attention.js";

/**
 * Causal attention whose tokens lie in chunks, counted from the first key: a token sees those of its own chunk alone. The queries
 * of each chunk are a causal attention of their own, with the keys of that chunk.
 *
 * @param chunk tokens of a chunk; undefined for attention to all keys
 * @param attention of queries, the last of which sees the last key
 */
export function inChunks(
  inputs: AttentionInputs,
  chunk: number | undefined,
  attention: (inputs: AttentionInputs) => Tensor,
): Tensor {
  const { q, k, v } = inputs;
  const [time, seen] = [q.size(2), k.size(2)];
  if (chunk === undefined || seen <= chunk) return attention(inputs);
  const pieces: Tensor[] = [];
  for (let first = seen - time; first < seen; ) {
    const begin = Math.floor(first / chunk) * chunk;
    const end = Math.min(seen, begin + chunk);
    pieces.push(
      attention({
        ...inputs,
        q: q.narrow(2, first - (seen - time), end - first),
        k: k.narrow(2, begin, end - begin),
        v: v.narrow(2, begin, end - begin),
      }),
    );
    first = end;
  }
  const [whole] = pieces;
  return whole !== undefined && pieces.length === 1 ? whole : Tensor.cat(pieces, 2);
}
