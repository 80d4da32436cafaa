import { type DecoderSpec, type ExpertsSpec, rotaryAmplitude, rotaryFrequencies } from "../../../../network/index.js";
import type { TensorCheck } from "../../../contract/tensor-check.js";
import type { GgufFile } from "../../read.js";
import { fileAttentions } from "../attentions.js";
import { ggufFamily } from "../families.js";
import { graphFacts } from "../graph-facts.js";
import { ggufContext } from "../model-shape.js";
import { asLlamaCpp, rotaries } from "../rope-scaling.js";
import { scaleKeys } from "../scale-keys.js";
import { blockFacts } from "./compare-blocks.js";
import { type Fact, NetworkKeys } from "./network-keys.js";

/** Largest relative difference of two frequencies that fp32 arithmetic explains. */
const TOLERANCE = 1e-5;

/**
 * Compares the network that llama.cpp builds from a file's keys with the one that was computed: its sizes, the epsilon of its
 * norms, and the frequency of every rotated pair. It reads the keys as llama.cpp does, with its defaults, and knows nothing
 * of the writer.
 */
export function compareKeys(file: GgufFile, spec: DecoderSpec): TensorCheck {
  const facts = { name: "network", source: null };
  const keys = new NetworkKeys(file.metadata);
  for (const [what, found, wanted] of [
    ...sizes(keys, file, spec),
    ...rotations(keys, file, spec),
    ...scales(keys, spec),
    ...blockFacts(keys, spec),
  ]) {
    if (found === wanted || Math.abs(found - wanted) <= TOLERANCE * Math.abs(wanted)) continue;
    return { ...facts, status: "different", detail: `${what} is ${found} instead of ${wanted}` };
  }
  return { ...facts, status: "same" };
}

function sizes(keys: NetworkKeys, file: GgufFile, spec: DecoderSpec): Fact[] {
  const { attention, main, window, dense, experts } = graphFacts(spec, ggufFamily(spec.family));
  const { heads, kvHeads, headDim } = attention;
  const epsilon = `attention.layer_norm_${spec.finalNorm.kind === "rms" ? "rms_" : ""}epsilon`;
  const found = keys.number("attention.head_count");
  const perHead = keys.number("embedding_length") / found;
  return [
    ["the number of blocks", keys.number("block_count"), spec.blocks.length],
    ["the context", keys.number("context_length"), ggufContext(spec)],
    ["the hidden size", keys.number("embedding_length"), spec.hiddenSize],
    ["the width of the MLP", keys.number("feed_forward_length"), dense?.width ?? experts?.width ?? 0],
    ...(window === null ? [] : [["the window", keys.number("attention.sliding_window"), window] as const]),
    ...(experts === null ? [] : expertSizes(keys, experts)),
    ["the number of heads", found, heads],
    ...keyValueHeads(keys, spec, kvHeads, found),
    ["the width of a key", keys.number("attention.key_length", perHead), headDim],
    ["the width of a value", keys.number("attention.value_length", perHead), main.valueDim],
    ["the epsilon of the norms", keys.number(epsilon), spec.finalNorm.eps],
    ["the vocabulary", file.tensors.get("token_embd.weight")?.shape[0] ?? Number.NaN, spec.vocabSize],
    [
      "the number of output matrices",
      file.tensors.has("output.weight") ? 1 : 0,
      spec.tied && ggufFamily(spec.family).head !== "own" ? 0 : 1,
    ],
  ];
}

function keyValueHeads(keys: NetworkKeys, spec: DecoderSpec, usual: number, absent: number): Fact[] {
  const listed = keys.list("attention.head_count_kv");
  if (listed === null) {
    return [["the number of key-value heads", keys.number("attention.head_count_kv", absent), usual]];
  }
  const without = spec.blocks.flatMap(({ attention }, block) => (attention.kind === "convolution" ? [block] : []));
  return [
    ...fileAttentions(spec).map(({ block, attention }) => [block, attention.kvHeads] as const),
    ...without.map((block) => [block, 0] as const),
  ].map(([block, wanted]) => [`the number of key-value heads of block ${block}`, listed[block] ?? Number.NaN, wanted]);
}

function expertSizes(keys: NetworkKeys, { count, perToken, width, shared }: ExpertsSpec): Fact[] {
  const beside = keys.number("expert_shared_feed_forward_length", 0);
  return [
    ["the number of experts", keys.number("expert_count"), count],
    ["the number of experts of a token", keys.number("expert_used_count"), perToken],
    ["the width of an expert", keys.number("expert_feed_forward_length", keys.number("feed_forward_length")), width],
    ["the width of the shared expert", beside, shared?.width ?? 0],
  ];
}

function scales(keys: NetworkKeys, spec: DecoderSpec): Fact[] {
  return scaleKeys(spec, ggufFamily(spec.family)).map(
    ([key, value]): Fact => [`the factor ${key}`, keys.number(key), value],
  );
}

function rotations(keys: NetworkKeys, file: GgufFile, spec: DecoderSpec): Fact[] {
  const { rotary, windowed } = rotaries(spec);
  if (rotary === null) return [];
  const { headDim } = graphFacts(spec, ggufFamily(spec.family)).attention;
  const width = keys.number("rope.dimension_count", headDim);
  const base = keys.number("rope.freq_base", 10000);
  const wanted = rotaryFrequencies(ggufFamily(spec.family).roundsYarn === true ? asLlamaCpp(rotary) : rotary);
  const { frequencyOf, amplitude } = rotation(keys, width, base);
  const table = ["rope_freqs.weight", "rope_factors_short.weight"].find((name) => file.tensors.has(name));
  const factors = table === undefined ? null : file.dequantize(table);
  const pairs = Array.from(
    wanted,
    (frequency, i): Fact => [
      `the rotary frequency of pair ${i}`,
      still(frequencyOf(i) / (factors === null ? 1 : (factors[i] ?? Number.NaN))),
      frequency,
    ],
  );
  return [
    ["the width of the rotation", width, rotary.width],
    ["the base of the rotation", base, rotary.theta],
    ["the base of blocks with a window", keys.number("rope.freq_base_swa", base), (windowed ?? rotary).theta],
    ["the factor of cosines and sines", amplitude, rotaryAmplitude(rotary.scaling)],
    ...pairs,
  ];
}

// A pair that turns once in more positions than there are numbers for does not turn.
function still(frequency: number): number {
  return Math.abs(frequency) < 1e-20 ? 0 : frequency;
}

/** As ggml's rope computes it: every pair turns by its interpolated angle, with YaRN fast ones by their own. */
function rotation(
  keys: NetworkKeys,
  width: number,
  base: number,
): { readonly frequencyOf: (pair: number) => number; readonly amplitude: number } {
  const plain = (pair: number): number => base ** ((-2 * pair) / width);
  const kind = keys.text("rope.scaling.type") ?? "linear";
  const factor = kind === "none" ? 1 : keys.number("rope.scaling.factor", 1);
  const given = keys.number("rope.scaling.attn_factor", 1);
  if (kind !== "yarn") return { frequencyOf: (pair) => plain(pair) / factor, amplitude: given };
  const context = keys.number("rope.scaling.original_context_length", keys.number("context_length"));
  const pairOf = (turns: number): number => (width * Math.log(context / (turns * 2 * Math.PI))) / (2 * Math.log(base));
  const low = Math.max(0, Math.floor(pairOf(keys.number("rope.scaling.yarn_beta_fast", 32))));
  const high = Math.min(width - 1, Math.ceil(pairOf(keys.number("rope.scaling.yarn_beta_slow", 1))));
  return {
    frequencyOf(pair) {
      const own = 1 - Math.min(1, Math.max(0, (pair - low) / Math.max(0.001, high - low)));
      return (plain(pair) / factor) * (1 - own) + plain(pair) * own;
    },
    // Where scores grow instead, llama.cpp takes this back.
    amplitude: keys.number("rope.scaling.yarn_log_multiplier", 0) !== 0 ? 1 : 1 + 0.1 * Math.log(factor),
  };
}
