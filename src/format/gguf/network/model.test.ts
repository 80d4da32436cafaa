import { describe, expect, it } from "vitest";
import type { ModelConfig } from "../../../checkpoint/model-config.js";
import { FormatError } from "../../../errors.js";
import { readSpec } from "../../../network/index.js";
import { modelMetadata } from "../file/metadata.js";
import { ggufFamily } from "./families.js";
import { type ModelShape, modelShape } from "./model-shape.js";
import { type RopeEncoding, ropeEncoding } from "./rope-scaling.js";
import { rotaryOrder } from "./rotary-order.js";
import { ggufNames } from "./tensor-names.js";

const llama: ModelConfig = {
  model_type: "llama",
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 100,
  max_position_embeddings: 4096,
  rms_norm_eps: 1e-5,
};

const shapeOf = (config: ModelConfig): ModelShape => modelShape(readSpec(config));
const ropeOf = (config: ModelConfig): RopeEncoding => ropeEncoding(readSpec(config));

describe("families", () => {
  it("refuses OPT and names the formats that take it", () => {
    expect(() => ggufFamily("opt")).toThrow(
      /opt.*not an architecture of llama.cpp.*Next: use --format onnx or compressed-tensors/,
    );
    expect(() => ggufFamily("falcon")).toThrow(
      /falcon.*llama, mistral, qwen2, qwen3.*granite.*phi3.*Next: use --format compressed-tensors/,
    );
    expect(() => ggufFamily("constructor")).toThrow(FormatError);
  });

  it("names every tensor of a network in the order of the file, with its biases", () => {
    const spec = readSpec({ ...llama, model_type: "qwen3" });
    const names = [...ggufNames(spec, ggufFamily("qwen3"))].sort(([, a], [, b]) => a.rank - b.rank);
    expect(names.map(([, { name }]) => name).filter((name) => name.endsWith(".weight"))).toEqual([
      "token_embd.weight",
      ...[0, 1].flatMap((layer) =>
        ["attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "attn_q_norm", "attn_k_norm", "ffn_norm"]
          .concat("ffn_gate", "ffn_up", "ffn_down")
          .map((module) => `blk.${layer}.${module}.weight`),
      ),
      "output_norm.weight",
      "output.weight",
    ]);
    const of = new Map(names);
    expect(of.get("model.layers.1.self_attn.q_proj.bias")?.name).toBe("blk.1.attn_q.bias");
    expect(of.has("model.layers.0.self_attn.rotary_emb.inv_freq")).toBe(false);
    expect(ggufNames({ ...spec, tied: true }, ggufFamily("qwen3")).has("lm_head.weight")).toBe(false);
  });

  it("names Linears that a checkpoint fuses as the one that they are there, and gains that are stored less one", () => {
    const phi3 = ggufNames(readSpec({ ...llama, model_type: "phi3" }), ggufFamily("phi3"));
    expect(phi3.get("model.layers.0.self_attn.qkv_proj.weight")?.name).toBe("blk.0.attn_qkv.weight");
    expect(phi3.get("model.layers.0.mlp.gate_up_proj.weight")?.name).toBe("blk.0.ffn_up.weight");
    expect(phi3.has("model.layers.0.self_attn.q_proj.weight")).toBe(false);
    const gemma = ggufNames(
      readSpec({ ...llama, model_type: "gemma3_text", head_dim: 16, query_pre_attn_scalar: 16 }),
      ggufFamily("gemma3_text"),
    );
    expect(gemma.get("model.layers.0.self_attn.q_norm.weight")).toMatchObject({
      name: "blk.0.attn_q_norm.weight",
      plusOne: true,
    });
    expect(gemma.get("model.layers.0.pre_feedforward_layernorm.weight")?.name).toBe("blk.0.ffn_norm.weight");
    expect(gemma.get("model.layers.0.post_feedforward_layernorm.weight")?.name).toBe("blk.0.post_ffw_norm.weight");
    expect(gemma.get("model.norm.weight")).toMatchObject({ plusOne: true });
    expect(gemma.get("model.layers.0.mlp.up_proj.weight")).toMatchObject({ plusOne: false });
  });

  it("moves the rows of a head from halves to pairs", () => {
    expect([...rotaryOrder(2, 6)]).toEqual([0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
  });
});

describe("configuration", () => {
  it("becomes metadata", () => {
    const shape = shapeOf({ ...llama, rope_theta: 500000 });
    const rope = ropeOf({ ...llama, rope_theta: 500000 });
    const facts = { name: "tiny", mainType: "Q2_0", hasQ2: true, notes: [] } as const;
    const metadata = modelMetadata(shape, rope, facts);
    const values = Object.fromEntries(
      [...metadata].map(([key, value]) => [key, "value" in value ? value.value : null]),
    );
    expect(values).toEqual({
      "general.architecture": "llama",
      "general.type": "model",
      "general.name": "tiny",
      "general.description": expect.stringContaining("build 9916"),
      "general.file_type": 41,
      "general.quantization_version": 2,
      "llama.block_count": 2,
      "llama.context_length": 4096,
      "llama.embedding_length": 64,
      "llama.feed_forward_length": 96,
      "llama.attention.head_count": 4,
      "llama.attention.head_count_kv": 2,
      "llama.attention.layer_norm_rms_epsilon": 1e-5,
      "llama.attention.key_length": 16,
      "llama.attention.value_length": 16,
      "llama.vocab_size": 100,
      "llama.rope.freq_base": 500000,
      "llama.rope.dimension_count": 16,
    });
  });

  it("fills in what the family's class would", () => {
    expect(shapeOf({ ...llama, model_type: "qwen3" }).headDim).toBe(128);
    const { num_key_value_heads: _, ...noGroups } = llama;
    expect(shapeOf(noGroups).keyValueHeads).toBe(4);
    const { rms_norm_eps: __, ...noEpsilon } = llama;
    expect(shapeOf(noEpsilon).normEpsilon).toBe(1e-6);
  });

  it("promises no more context than the sliding window, which llama.cpp does not have here", () => {
    expect(shapeOf({ ...llama, model_type: "mistral", sliding_window: 1024 }).contextLength).toBe(1024);
    expect(shapeOf({ ...llama, model_type: "mistral", sliding_window: null }).contextLength).toBe(4096);
    const qwen = { ...llama, model_type: "qwen2", sliding_window: 1024, max_window_layers: 0 };
    expect(shapeOf({ ...qwen, use_sliding_window: false }).contextLength).toBe(4096);
    expect(shapeOf({ ...qwen, use_sliding_window: true }).contextLength).toBe(1024);
  });

  it("refuses what llama.cpp would compute differently", () => {
    expect(() => shapeOf({ ...llama, hidden_act: "gelu" })).toThrow(/activation is gelu.*Next: /);
    expect(() => shapeOf({ ...llama, partial_rotary_factor: 0.5 })).toThrow(/partial_rotary_factor.*Next: /);
  });
});

describe("rotary scaling", () => {
  const scaled = (parameters: ModelConfig): ModelConfig => ({ ...llama, rope_scaling: parameters });

  it("reads both generations of configurations", () => {
    const old = ropeOf({ ...llama, rope_theta: 1e6, rope_scaling: { type: "linear", factor: 4 } });
    const parameters = { rope_type: "linear", rope_theta: 1e6, factor: 4 };
    expect(ropeOf({ ...llama, rope_parameters: parameters })).toEqual(old);
    expect(old).toMatchObject({ base: 1e6, tables: new Map() });
    expect([...old.keys]).toEqual([
      ["rope.scaling.type", { type: "string", value: "linear" }],
      ["rope.scaling.factor", { type: "f32", value: 4 }],
    ]);
    expect(ropeOf(llama)).toEqual({ base: 10000, keys: new Map(), tables: new Map() });
  });

  it("writes YaRN's own parameters", () => {
    const yarn = { rope_type: "yarn", factor: 4, original_max_position_embeddings: 1024, beta_fast: 16 };
    const { keys } = ropeOf(scaled(yarn));
    expect(keys.get("rope.scaling.original_context_length")).toEqual({ type: "u32", value: 1024 });
    expect(keys.get("rope.scaling.yarn_beta_fast")).toEqual({ type: "f32", value: 16 });
    expect(() => ropeOf(scaled({ ...yarn, attention_factor: 2 }))).toThrow(/attention_factor.*Next: /);
    // transformers takes the one into account only beside the other.
    expect(ropeOf(scaled({ ...yarn, mscale: 0.7 }))).toEqual(ropeOf(scaled(yarn)));
    const scaledBoth = { ...yarn, mscale: 0.7, mscale_all_dim: 1 };
    expect(() => ropeOf(scaled(scaledBoth))).toThrow(/attention_factor of 0.9635.*Next: /);
    expect(() => ropeOf(scaled({ ...yarn, truncate: false }))).toThrow(/not rounded.*Next: /);
  });

  it("keeps short waves, divides long ones, and ramps in between, as Llama 3.1 does", () => {
    const llama3 = {
      rope_type: "llama3",
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 8192,
    };
    const { tables } = ropeOf({ ...scaled(llama3), rope_theta: 500000, head_dim: 128 });
    const factors = tables.get("rope_freqs.weight");
    expect(factors?.length).toBe(64);
    expect([factors?.[0], factors?.[28], factors?.[63]]).toEqual([1, 1, 8]);
    const ramp = [...(factors ?? [])].filter((factor) => factor !== 1 && factor !== 8);
    expect(ramp.length).toBe(6);
    expect(ramp).toEqual([...ramp].sort((a, b) => a - b));
  });

  it("holds LongRoPE's two lists in Phi-3, whose graph reads them, and refuses them elsewhere", () => {
    const [short, long] = [new Array<number>(8).fill(1.25), new Array<number>(8).fill(2)];
    const longrope = { rope_type: "longrope", short_factor: short, long_factor: long, factor: 2 };
    const given = { ...scaled(longrope), original_max_position_embeddings: 2048 };
    const { keys, tables } = ropeOf({ ...given, model_type: "phi3" });
    expect([...tables].map(([name, values]) => [name, ...values])).toEqual([
      ["rope_factors_long.weight", ...long],
      ["rope_factors_short.weight", ...short],
    ]);
    expect(keys.get("rope.scaling.original_context_length")).toEqual({ type: "u32", value: 2048 });
    const amplitude = Math.sqrt(1 + Math.log(2) / Math.log(2048));
    expect(keys.get("rope.scaling.attn_factor")).toMatchObject({ type: "f32", value: expect.closeTo(amplitude, 6) });
    expect(() => ropeOf(given)).toThrow(/no longrope positions for llama.*Next: /);
  });

  it("refuses other kinds", () => {
    expect(() => ropeOf(scaled({ rope_type: "axial" }))).toThrow(/axial.*Next: /);
  });
});
