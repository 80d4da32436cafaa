import { DATA_TYPES } from "../../../checkpoint/onnx/schema.js";
import {
  type Activation,
  blockOf,
  type DecoderSpec,
  decoderUnits,
  type LinearRole,
  layerOf,
  type NormRole,
  type NormSpec,
  normName,
  type UnitPlan,
} from "../../../network/index.js";
import { type AttentionInputs, attention, attentionInputs, capped } from "./attention-graph.js";
import { assertExpressible, graphBlock } from "./graph-block.js";
import { CONTRIB, type GraphBuilder } from "./graph-builder.js";
import type { ComputeType, GraphWeights } from "./graph-weights.js";
import { type RotaryTables, rotaryTables } from "./rotary-tables.js";

/**
 * How exactly MatMulNBits multiplies: 0 in the graph's own floating point, 4 with activations rounded to 8 bits block by
 * block where the runtime has such a kernel. Level 4 is many times faster for 2 and 8 bits.
 */
export type AccuracyLevel = 0 | 4;

/**
 * The whole decoder as transformers.js loads it. Inputs: `input_ids`, `position_ids` int64 `[batch_size,
 * sequence_length]`, `attention_mask` int64 `[batch_size, total_sequence_length]`, `num_logits_to_keep` int64 scalar (the
 * last so many tokens get logits, 0: all), `past_key_values.N.key|value`. Outputs: `logits` fp32 `[batch_size,
 * num_logits, vocab]`, `present.N.key|value`.
 */
export function buildDecoder(weights: GraphWeights, spec: DecoderSpec, accuracyLevel: AccuracyLevel): void {
  assertExpressible(spec);
  const { builder: g, compute } = weights;
  const tokens = ["batch_size", "sequence_length"];
  g.input("input_ids", "int64", tokens);
  g.input("attention_mask", "int64", ["batch_size", "total_sequence_length"]);
  g.input("position_ids", "int64", tokens);
  g.input("num_logits_to_keep", "int64", []);
  g.output("logits", "float32", ["batch_size", "num_logits", spec.vocabSize]);
  const shared = attentionInputs(g, spec, compute);
  const units = decoderUnits(spec);
  const context: Context = { g, spec, units, weights, accuracyLevel, shared, tables: rotaryTables(weights, spec) };

  let stream: Stream = { value: embed(context), added: null };
  for (let block = 0; block < spec.blocks.length; block++) stream = buildBlock(context, block, stream);
  const { normed } = normalise(context, "final_norm", spec.names.finalNorm, stream);
  const last = lastTokens(g, normed);
  const product = linear(context, spec.tied ? spec.names.embedding : spec.names.head, last, [
    spec.vocabSize,
    spec.hiddenSize,
  ]);
  const { multiplier, bias, softcap } = spec.head;
  const shifted = bias
    ? g.node("head/bias", "Add", [product, weights.float(`${spec.names.head}.bias`, [spec.vocabSize])])
    : product;
  const scaled = times(context, "head/factor", shifted, multiplier);
  const logits = softcap === null ? scaled : capped(g, "head/cap", scaled, constant(g, "head/cap", compute, softcap));
  g.node("logits", "Cast", [logits], { attributes: { to: DATA_TYPES.float32 } });
}

interface Context {
  readonly g: GraphBuilder;
  readonly spec: DecoderSpec;
  readonly units: readonly UnitPlan[];
  readonly weights: GraphWeights;
  readonly accuracyLevel: AccuracyLevel;
  readonly shared: AttentionInputs;
  /** Of each block; null where positions do not turn. Blocks that turn alike have the same. */
  readonly tables: readonly (RotaryTables | null)[];
}

/** The residual stream; `added` is what the next norm adds to it first, because one operator does both. */
interface Stream {
  readonly value: string;
  readonly added: string | null;
}

/** `x` times a number that the network fixes. */
function times({ g, weights }: Context, path: string, x: string, factor: number): string {
  return factor === 1 ? x : g.node(path, "Mul", [x, constant(g, path, weights.compute, factor)]);
}

function constant(g: GraphBuilder, path: string, compute: ComputeType, value: number): string {
  const stored = g.scalar(value);
  if (compute === "float32") return stored;
  return g.node(`${path}/constant`, "Cast", [stored], { attributes: { to: DATA_TYPES[compute] } });
}

function embed(context: Context): string {
  const { g, spec, weights } = context;
  const { names, vocabSize, hiddenSize, embedding, maxPositions } = spec;
  const { positions } = embedding;
  const look = (path: string, name: string, rows: number, indices: string): string => {
    const { value, dataType } = weights.stored(`${name}.weight`, [rows, hiddenSize]);
    const found = g.node(path, "Gather", [value, indices]);
    if (dataType === weights.compute) return found;
    return g.node(`${path}/${weights.compute}`, "Cast", [found], { attributes: { to: DATA_TYPES[weights.compute] } });
  };
  const tokens = times(
    context,
    "embed/factor",
    look("embed", names.embedding, vocabSize, "input_ids"),
    embedding.multiplier,
  );
  if (positions === null) return tokens;
  const rows = g.node("embed/rows", "Add", ["position_ids", g.integers(positions.offset)]);
  const places = look("embed/positions", String(names.positions), positions.offset + maxPositions, rows);
  return g.node("embed/sum", "Add", [tokens, places]);
}

function buildBlock(context: Context, block: number, input: Stream): Stream {
  const { g, spec } = context;
  const { mlp } = graphBlock(spec, block);
  const path = `layers.${block}`;
  const { norms, residualMultiplier, arrangement } = blockOf(spec, block);
  const norm = (role: NormRole, stream: Stream): Normed =>
    norms[role] === undefined
      ? unnormalised(context, `${path}/${role}`, stream)
      : normalise(context, `${path}/${role}`, normName(spec, block, role), stream);
  // What a sublayer gives, as it is added to the stream.
  const added = (role: NormRole, value: string): string => {
    const { normed } = norm(role, { value, added: null });
    return times(context, `${path}/${role}/factor`, normed, residualMultiplier);
  };
  const apply = (role: LinearRole, x: string): string => blockLinear(context, block, role, x);

  const before = norm("attentionNorm", input);
  const turned = (role: "q" | "k"): string => placed(context, block, role, apply(role, before.normed));
  const mixed = attention(
    g,
    spec,
    block,
    { q: turned("q"), k: turned("k"), v: apply("v", before.normed) },
    context.shared,
    context.weights.compute,
  );
  const attended = added("attentionPostNorm", apply("o", mixed));
  const inner = (x: string): string => {
    const gate = mlp.kind === "gated" ? apply("gate", x) : null;
    const up = apply("up", x);
    const active = activate(g, `${path}/act`, gate ?? up, mlp.activation);
    const hidden = gate === null ? active : g.node(`${path}/gated`, "Mul", [active, up]);
    return added("mlpPostNorm", apply("down", hidden));
  };
  if (arrangement === "parallel") {
    // Both read what the block is given.
    const given =
      norms.mlpNorm === undefined ? before.normed : norm("mlpNorm", { value: before.sum, added: null }).normed;
    return { value: before.sum, added: g.node(`${path}/both`, "Add", [attended, inner(given)]) };
  }
  const middle = norm("mlpNorm", { value: before.sum, added: attended });
  return { value: middle.sum, added: inner(middle.normed) };
}

/** Queries or keys `[batch, tokens, heads * headDim]` with their head norm and their positions. */
function placed(context: Context, block: number, role: "q" | "k", x: string): string {
  const { g, spec } = context;
  const tables = context.tables[block] ?? null;
  const { heads, kvHeads, headDim, qNorm, rotary } = graphBlock(spec, block).attention;
  const count = role === "q" ? heads : kvHeads;
  const path = `layers.${block}/${role}`;
  let value = x;
  if (qNorm !== null) {
    const module = normName(spec, block, role === "q" ? "qNorm" : "kNorm");
    const byHead = qNorm.over === "head";
    const split = byHead ? g.node(`${path}/split`, "Reshape", [x, g.integers([0, 0, count, headDim])]) : x;
    const scale = gains(context, `${path}/norm`, module, [byHead ? headDim : count * headDim], qNorm);
    const attributes = { axis: -1, epsilon: { float: qNorm.eps }, stash_type: 1 };
    const normed = g.node(`${path}/norm`, "SimplifiedLayerNormalization", [split, scale], { attributes });
    value = byHead ? g.node(`${path}/joined`, "Reshape", [normed, g.integers([0, 0, count * headDim])]) : normed;
  }
  if (rotary === null || tables === null) return value;
  const partial = rotary.width === headDim ? {} : { rotary_embedding_dim: rotary.width };
  return g.node(`${path}/rotary`, "RotaryEmbedding", [value, "position_ids", ...tables], {
    domain: CONTRIB,
    attributes: { num_heads: count, interleaved: rotary.pairs === "neighbours" ? 1 : 0, ...partial },
  });
}

/** What a norm multiplies by. */
function gains(
  { g, weights }: Context,
  path: string,
  module: string,
  shape: readonly number[],
  norm: NormSpec,
): string {
  const stored = weights.float(`${module}.weight`, shape);
  if (norm.gain !== "1+w") return stored;
  return g.node(`${path}/gains`, "Add", [stored, constant(g, path, weights.compute, 1)]);
}

interface Normed {
  readonly normed: string;
  /** The stream with everything added. */
  readonly sum: string;
}

function unnormalised({ g }: Context, path: string, { value, added }: Stream): Normed {
  const sum = added === null ? value : g.node(`${path}/sum`, "Add", [value, added]);
  return { sum, normed: sum };
}

function normalise(context: Context, path: string, module: string, { value, added }: Stream): Normed {
  const { g, spec, weights } = context;
  const scale = gains(context, path, module, [spec.hiddenSize], spec.finalNorm);
  const epsilon = { float: spec.finalNorm.eps };
  if (spec.finalNorm.kind === "layer") {
    const sum = added === null ? value : g.node(`${path}/sum`, "Add", [value, added]);
    const shift = spec.finalNorm.bias ? [weights.float(`${module}.bias`, [spec.hiddenSize])] : [];
    const attributes = { axis: -1, epsilon, stash_type: 1 };
    return { sum, normed: g.node(path, "LayerNormalization", [sum, scale, ...shift], { attributes }) };
  }
  if (added === null) {
    const attributes = { axis: -1, epsilon, stash_type: 1 };
    return { sum: value, normed: g.node(path, "SimplifiedLayerNormalization", [value, scale], { attributes }) };
  }
  const sum = `${path}/sum`;
  const normed = g.node(path, "SkipSimplifiedLayerNormalization", [value, added, scale], {
    domain: CONTRIB,
    outputs: [path, "", "", sum],
    attributes: { epsilon },
  });
  return { sum, normed };
}

function blockLinear(context: Context, block: number, role: LinearRole, x: string): string {
  const { g, weights } = context;
  const { module, rows, columns, bias } = layerOf(context.units[block] as UnitPlan, role);
  const shape = [rows, columns] as const;
  const product = linear(context, module, x, shape);
  if (!bias) return product;
  return g.node(`${module}/bias`, "Add", [product, weights.float(`${module}.bias`, [shape[0]])]);
}

/** `x W^T` of a Linear `[out, in]`, quantized or plain. */
function linear(
  { g, weights, accuracyLevel }: Context,
  module: string,
  x: string,
  shape: readonly [number, number],
): string {
  const quantized = weights.quantized(module, shape);
  if (quantized === null) {
    const weight = weights.float(`${module}.weight`, shape);
    const turned = g.node(`${module}/transposed`, "Transpose", [weight], { attributes: { perm: [1, 0] } });
    return g.node(`${module}/MatMul`, "MatMul", [x, turned]);
  }
  const { codes, scales, zeroPoints, container } = quantized;
  return g.node(
    `${module}/MatMulNBits`,
    "MatMulNBits",
    zeroPoints === null ? [x, codes, scales] : [x, codes, scales, zeroPoints],
    {
      domain: CONTRIB,
      attributes: {
        K: shape[1],
        N: shape[0],
        bits: container.bits,
        block_size: container.blockSize,
        accuracy_level: accuracyLevel,
      },
    },
  );
}

function activate(g: GraphBuilder, path: string, x: string, activation: Activation): string {
  switch (activation) {
    case "silu":
      return g.node(path, "Mul", [x, g.node(`${path}/sigmoid`, "Sigmoid", [x])]);
    case "relu":
      return g.node(path, "Relu", [x]);
    case "xielu":
      throw new TypeError("a graph has no learnt activation");
    case "relu2": {
      const positive = g.node(`${path}/relu`, "Relu", [x]);
      return g.node(path, "Mul", [positive, positive]);
    }
    case "gelu":
      return g.node(path, "Gelu", [x]);
    case "gelu_tanh":
      return g.node(path, "Gelu", [x], { attributes: { approximate: "tanh" } });
  }
}

/** The last `num_logits_to_keep` tokens; a slice from -0 is all of them. */
function lastTokens(g: GraphBuilder, x: string): string {
  const negative = g.node("logits/negative", "Neg", ["num_logits_to_keep"]);
  const start = g.node("logits/start", "Unsqueeze", [negative, g.integers([0])]);
  const end = g.integers([Number.MAX_SAFE_INTEGER]);
  return g.node("logits/tokens", "Slice", [x, start, end, g.integers([1])]);
}
