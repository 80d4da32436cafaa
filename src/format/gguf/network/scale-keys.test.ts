import { describe, expect, it } from "vitest";
import type { ModelConfig } from "../../../checkpoint/model-config.js";
import { readSpec } from "../../../network/index.js";
import { tinyModel } from "../../../network/testing/tiny-models.js";
import { ggufFamily } from "./families.js";
import { modelShape } from "./model-shape.js";
import { ropeEncoding } from "./rope-scaling.js";
import { type ScaleKey, scaleKeys } from "./scale-keys.js";

const configOf = (name: string): ModelConfig => tinyModel(name).config as ModelConfig;
const keysOf = (config: ModelConfig): readonly ScaleKey[] => {
  const spec = readSpec(config);
  return scaleKeys(spec, ggufFamily(spec.family));
};

describe("factors of a network", () => {
  it("are Granite's keys, with the divisor of its logits", () => {
    expect(keysOf(configOf("granite"))).toEqual([
      ["embedding_scale", 6],
      ["residual_scale", 0.4],
      ["attention.scale", 0.2],
      ["logit_scale", 2],
    ]);
  });

  it("are none in a Llama, and refused where llama.cpp's graph would leave them out", () => {
    expect(keysOf(configOf("llama"))).toEqual([]);
    const spec = { ...readSpec(configOf("granite")), family: "llama" };
    expect(() => scaleKeys(spec, ggufFamily("llama"))).toThrow(
      /llama with factors.*Next: use --format compressed-tensors/,
    );
  });

  it("are caps in Gemma 2, whose graph takes the root of a head's width for its scores", () => {
    const gemma: ModelConfig = {
      ...{ model_type: "gemma2", hidden_size: 64, intermediate_size: 96, num_hidden_layers: 2, head_dim: 16 },
      ...{ num_attention_heads: 4, num_key_value_heads: 2, vocab_size: 100, query_pre_attn_scalar: 16 },
    };
    expect(keysOf(gemma)).toEqual([
      ["attn_logit_softcapping", 50],
      ["final_logit_softcapping", 30],
    ]);
    expect(() => keysOf({ ...gemma, query_pre_attn_scalar: 32 })).toThrow(/factors of its streams/);
    expect(() => keysOf({ ...gemma, attn_logit_softcapping: null })).toThrow(/without a cap.*gemma2/);
    // 46 blocks are the 27B model, whose scores llama.cpp scales by the hidden size over the heads.
    expect(() => keysOf({ ...gemma, num_hidden_layers: 46 })).not.toThrow();
    expect(() => keysOf({ ...gemma, num_hidden_layers: 46, hidden_size: 128 })).toThrow(/factors of its streams/);
  });
});

describe("blocks without positions", () => {
  const smollm3 = { ...configOf("smollm3"), num_hidden_layers: 8, layer_types: null };

  it("are every fourth in a SmolLM3, as llama.cpp has it", () => {
    expect(() => modelShape(readSpec({ ...smollm3, no_rope_layers: null, no_rope_layer_interval: 4 }))).not.toThrow();
    expect(() => modelShape(readSpec(configOf("llama")))).not.toThrow();
  });

  it("are refused elsewhere, with the block", () => {
    const other = readSpec({ ...smollm3, no_rope_layers: [1, 0, 1, 1, 1, 1, 1, 1] });
    expect(() => modelShape(other)).toThrow(/block 1 of this smollm3 has no rotary.*Next: /);
  });
});

describe("blocks with a window", () => {
  const gemma3: ModelConfig = {
    ...{ model_type: "gemma3_text", hidden_size: 64, intermediate_size: 96, num_hidden_layers: 6, head_dim: 16 },
    ...{
      num_attention_heads: 4,
      num_key_value_heads: 2,
      vocab_size: 100,
      query_pre_attn_scalar: 16,
      sliding_window: 32,
    },
    ...{ rope_theta: 1e6, rope_local_base_freq: 1e4, max_position_embeddings: 4096 },
  };

  it("are all but every sixth in a Gemma 3, with a base of their own", () => {
    const { own, contextLength } = modelShape(readSpec(gemma3));
    expect(own).toEqual([["attention.sliding_window", { type: "u32", value: 32 }]]);
    expect(contextLength).toBe(4096);
    const { base, keys } = ropeEncoding(readSpec(gemma3));
    expect(base).toBe(1e6);
    expect([...keys]).toEqual([["rope.freq_base_swa", { type: "f32", value: 1e4 }]]);
  });

  it("are as many as a key says elsewhere, and refused in an order that it can't say", () => {
    const every = (n: number): string[] =>
      Array.from({ length: 6 }, (_, i) => ((i + 1) % n === 0 ? "full_attention" : "sliding_attention"));
    expect(() => modelShape(readSpec({ ...gemma3, layer_types: every(6) }))).not.toThrow();
    expect(modelShape(readSpec({ ...gemma3, layer_types: every(3) })).own).toEqual([
      ["attention.sliding_window", { type: "u32", value: 32 }],
      ["attention.sliding_window_pattern", { type: "u32", value: 3 }],
    ]);
    const odd = every(6).map((kind, block) => (block < 2 ? "full_attention" : kind));
    expect(() => modelShape(readSpec({ ...gemma3, layer_types: odd }))).toThrow(
      /block 0 has another window than llama.cpp's graph of gemma3 gives it.*Next: use --format/,
    );
  });
});
