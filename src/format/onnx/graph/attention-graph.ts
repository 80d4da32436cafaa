import { DATA_TYPES } from "../../../checkpoint/onnx/schema.js";
import type { AttentionSpec, DecoderSpec } from "../../../network/index.js";
import { graphBlock } from "./graph-block.js";
import { CONTRIB, type GraphBuilder } from "./graph-builder.js";
import type { ComputeType } from "./graph-weights.js";

/** What blocks share: computed once from the graph's inputs. */
export interface AttentionInputs {
  /**
   * Added to the scores, of each block: `[batch, 1, tokens, tokens seen]`, 0 where a query may look and very negative
   * elsewhere. Blocks with the same window have the same.
   */
  readonly biases: readonly string[];
  /** int32 `[batch]`: the cache's length after this call, minus 1. */
  readonly lastKey: string;
  /** int32 scalar: the cache's length after this call. */
  readonly keys: string;
}

/**
 * True when onnxruntime's fused operator computes these heads: it wants widths that are multiples of 8. Its own rotary
 * embedding stays unused, because it counts positions from the lengths of sequences, and padding on the left moves them; so
 * does its sliding window, because the bias has it for both ways of computing.
 */
export function isFused(spec: DecoderSpec, block: number): boolean {
  return graphBlock(spec, block).attention.headDim % 8 === 0;
}

/**
 * Reads the lengths and the mask off the inputs `input_ids [batch, tokens]` and `attention_mask [batch, tokens seen]`.
 * Padding is masked by the bias and not by per-sequence lengths, so that it may stand on the left, where generation
 * needs it.
 */
export function attentionInputs(g: GraphBuilder, spec: DecoderSpec, compute: ComputeType): AttentionInputs {
  const shape = g.node("attention/shape", "Shape", ["input_ids"]);
  const seen = g.node("attention/mask_shape", "Shape", ["attention_mask"]);
  const keys64 = g.node("attention/keys64", "Gather", [seen, g.integers(1)]);
  const keys = g.node("attention/keys", "Cast", [keys64], { attributes: { to: DATA_TYPES.int32 } });
  const batch = g.node("attention/batch", "Gather", [shape, g.integers([0])]);
  const last64 = g.node("attention/last64", "Sub", [keys64, g.integers(1)]);
  const last = g.node("attention/last", "Cast", [last64], { attributes: { to: DATA_TYPES.int32 } });
  const lastKey = g.node("attention/last_key", "Expand", [last, batch]);
  const tokens = g.node("attention/tokens", "Gather", [shape, g.integers(1)]);

  // Finite, because a row without any key would be NaN, and NaN spreads through the values of padding.
  const lowest = g.scalar(compute === "float16" ? -3e4 : -1e30);
  const mask = g.node("attention/mask", "Cast", ["attention_mask"], { attributes: { to: DATA_TYPES.float32 } });
  const padding = g.node("attention/padding", "Sub", [g.scalar(1), mask]);
  const penalty = g.node("attention/penalty", "Mul", [padding, lowest]);
  const perKey = g.node("attention/per_key", "Unsqueeze", [penalty, g.integers([1, 2])]);
  const known = new Map<string, string>();
  const biases = spec.blocks.map((_, block) => {
    const seenBy: Seen = { window: graphBlock(spec, block).attention.slidingWindow, fused: isFused(spec, block) };
    const key = JSON.stringify(seenBy);
    const made = known.get(key);
    if (made !== undefined) return made;
    const path = known.size === 0 ? "attention" : `attention/${known.size}`;
    const order = orderBias(g, path, seenBy, { tokens, keys: keys64, lowest });
    const wide =
      order === null
        ? g.node(`${path}/bias`, "Expand", [perKey, queriesShape(g, path, tokens)])
        : g.node(`${path}/bias`, "Add", [perKey, order]);
    const bias =
      compute === "float32"
        ? wide
        : g.node(`${path}/bias16`, "Cast", [wide], { attributes: { to: DATA_TYPES.float16 } });
    known.set(key, bias);
    return bias;
  });
  return { biases, lastKey, keys };
}

/** Which keys a block sees, and whether the fused operator leaves later ones out by itself. */
interface Seen {
  readonly window: number | null;
  readonly fused: boolean;
}

/** `[1, 1, tokens, 1]` */
function queriesShape(g: GraphBuilder, path: string, tokens: string): string {
  const list = g.node(`${path}/tokens_list`, "Unsqueeze", [tokens, g.integers([0])]);
  return g.node(`${path}/queries_shape`, "Concat", [g.integers([1, 1]), list, g.integers([1])], {
    attributes: { axis: 0 },
  });
}

/** What the order of tokens forbids, `[tokens, tokens seen]`; null where the fused operator sees to it by itself. */
function orderBias(
  g: GraphBuilder,
  path: string,
  { window, fused }: Seen,
  { tokens, keys, lowest }: { readonly tokens: string; readonly keys: string; readonly lowest: string },
): string | null {
  if (fused && window === null) return null;
  const columns = g.node(`${path}/columns`, "Range", [g.integers(0), keys, g.integers(1)]);
  const past = g.node(`${path}/past`, "Sub", [keys, tokens]);
  const rowList = g.node(`${path}/row_list`, "Range", [past, keys, g.integers(1)]);
  const rows = g.node(`${path}/rows`, "Unsqueeze", [rowList, g.integers([1])]);
  const blocked: string[] = [];
  if (!fused) blocked.push(g.node(`${path}/future`, "Greater", [columns, rows]));
  if (window !== null) {
    const out = g.node(`${path}/out_of_window`, "Sub", [rows, g.integers(window)]);
    blocked.push(g.node(`${path}/far`, "LessOrEqual", [columns, out]));
  }
  const [first = "", second] = blocked;
  const either = second === undefined ? first : g.node(`${path}/blocked`, "Or", [first, second]);
  return g.node(`${path}/order`, "Where", [either, lowest, g.scalar(0)]);
}

/** Queries, keys and values `[batch, tokens, heads * headDim]`, rotated already. */
export interface BlockAttention {
  readonly q: string;
  readonly k: string;
  readonly v: string;
}

/** Attention of one block with its cache; returns `[batch, tokens, heads * headDim]`. */
export function attention(
  g: GraphBuilder,
  spec: DecoderSpec,
  block: number,
  { q, k, v }: BlockAttention,
  shared: AttentionInputs,
  compute: ComputeType,
): string {
  const { heads, kvHeads, headDim, scale, softcap } = graphBlock(spec, block).attention;
  const path = `layers.${block}/attention`;
  const bias = shared.biases[block] ?? "";
  const past = ["key", "value"].map((kind) => {
    const shape = ["batch_size", kvHeads, "past_sequence_length", headDim];
    return g.input(`past_key_values.${block}.${kind}`, compute, shape);
  });
  const present = ["key", "value"].map((kind) => {
    const name = `present.${block}.${kind}`;
    g.output(name, compute, ["batch_size", kvHeads, "total_sequence_length", headDim]);
    return name;
  });
  if (isFused(spec, block)) {
    return g.node(path, "GroupQueryAttention", [q, k, v, ...past, shared.lastKey, shared.keys, "", "", "", bias], {
      domain: CONTRIB,
      outputs: [path, ...present],
      attributes: {
        ...{ num_heads: heads, kv_num_heads: kvHeads, scale: { float: scale } },
        ...(softcap === null ? {} : { softcap: { float: softcap } }),
      },
    });
  }
  return composed(g, path, graphBlock(spec, block).attention, { q, k, v }, past, present, bias, compute);
}

/** The same out of elementary operators; heads that share keys are one batch of products. */
function composed(
  g: GraphBuilder,
  path: string,
  { heads, kvHeads, headDim, scale, softcap }: AttentionSpec,
  { q, k, v }: BlockAttention,
  past: readonly string[],
  present: readonly string[],
  bias: string,
  compute: ComputeType,
): string {
  const at = (name: string): string => `${path}/${name}`;
  const cached = [k, v].map((value, i) => {
    const kind = i === 0 ? "key" : "value";
    const split = g.node(at(`${kind}_heads`), "Reshape", [value, g.integers([0, 0, kvHeads, headDim])]);
    const byHead = g.node(at(`${kind}_by_head`), "Transpose", [split], { attributes: { perm: [0, 2, 1, 3] } });
    return g.node(at(`${kind}_cached`), "Concat", [past[i] ?? "", byHead], {
      attributes: { axis: 2 },
      outputs: [present[i] ?? ""],
    });
  });
  const [keys = "", values = ""] = cached.map((value, i) =>
    g.node(at(i === 0 ? "keys" : "values"), "Unsqueeze", [value, g.integers([2])]),
  );
  const grouped = g.node(at("grouped"), "Reshape", [q, g.integers([0, 0, kvHeads, heads / kvHeads, headDim])]);
  const queries = g.node(at("queries"), "Transpose", [grouped], { attributes: { perm: [0, 2, 3, 1, 4] } });
  const typed = (name: string, value: number): string =>
    compute === "float32"
      ? g.scalar(value)
      : g.node(at(name), "Cast", [g.scalar(value)], { attributes: { to: DATA_TYPES[compute] } });
  const scaled = g.node(at("scaled"), "Mul", [queries, typed("factor", scale)]);
  const turned = g.node(at("keys_turned"), "Transpose", [keys], { attributes: { perm: [0, 1, 2, 4, 3] } });
  const products = g.node(at("scores"), "MatMul", [scaled, turned]);
  const scores = softcap === null ? products : capped(g, at("cap"), products, typed("most", softcap));
  const wide = g.node(at("bias"), "Unsqueeze", [bias, g.integers([1])]);
  const masked = g.node(at("masked"), "Add", [scores, wide]);
  const weights = g.node(at("softmax"), "Softmax", [masked], { attributes: { axis: -1 } });
  const mixed = g.node(at("mixed"), "MatMul", [weights, values]);
  const back = g.node(at("by_token"), "Transpose", [mixed], { attributes: { perm: [0, 3, 1, 2, 4] } });
  return g.node(path, "Reshape", [back, g.integers([0, 0, heads * headDim])]);
}

/** `most * tanh(x / most)` */
export function capped(g: GraphBuilder, path: string, x: string, most: string): string {
  const shares = g.node(`${path}/shares`, "Div", [x, most]);
  return g.node(path, "Mul", [g.node(`${path}/tanh`, "Tanh", [shares]), most]);
}
