import { describe, expect, it } from "vitest";
import type { ModelConfig } from "../../../../checkpoint/model-config.js";
import { ModelError } from "../../../../errors.js";
import { familyModels, goldens, tinyModel } from "../../../testing/tiny-models.js";
import { families } from "../../families/index.js";
import { readSpec } from "../read-spec.js";
import { unreadKeys } from "./unread-keys.js";

const configOf = (name: string): ModelConfig => tinyModel(name).config as ModelConfig;

describe("keys that a family does not read", () => {
  it.each([...Object.keys(goldens.models), ...Object.keys(familyModels)])(
    "are none in what transformers saves of %s",
    (name) => {
      expect(unreadKeys(configOf(name))).toEqual([]);
    },
  );

  it.each([
    ["llama", { sliding_window: 256 }, ["sliding_window"]],
    [
      "llama",
      { attn_logit_softcapping: 50, final_logit_softcapping: 30 },
      ["attn_logit_softcapping", "final_logit_softcapping"],
    ],
    ["llama", { logit_scale: 0.5, embedding_multiplier: 12 }, ["logit_scale", "embedding_multiplier"]],
    ["qwen2", { attention_bias: true, mlp_bias: true }, ["attention_bias", "mlp_bias"]],
    ["llama", { layer_types: ["full_attention", "sliding_attention"] }, ["layer_types"]],
    ["qwen2", { use_qk_norm: true, num_experts: 4 }, ["use_qk_norm", "num_experts"]],
    [
      "qwen3",
      { attention_chunk_size: 64, auto_map: { AutoModel: "modeling.py" } },
      ["attention_chunk_size", "auto_map"],
    ],
  ] as const)("of %s are named where they have a value: %j", (name, keys, named) => {
    expect(unreadKeys({ ...configOf(name), ...keys } as ModelConfig)).toEqual(named);
  });

  it("are of no matter where they are off, or speak of tokens, training and generation", () => {
    const off = { sliding_window: null, use_qk_norm: false, logit_scale: 0, no_rope_layers: [], extra: {} };
    const other = {
      image_token_id: 5,
      attention_dropout: 0.1,
      router_aux_loss_coef: 0.1,
      num_nextn_predict_layers: 1,
      crossblock: { a: 1 },
    };
    expect(unreadKeys({ ...configOf("llama"), ...off, ...other })).toEqual([]);
  });

  it("are those of the text network in a larger model", () => {
    const { model_type: _, ...text } = configOf("llama");
    const whole = {
      model_type: "mistral3",
      vision_config: { depth: 2 },
      text_config: { ...text, model_type: "mistral", softcap: 3 },
    };
    expect(unreadKeys(whole)).toEqual(["softcap"]);
  });
});

it("keys of DeepSeek that follow from others are read, and held against these", () => {
  const sizes = {
    vocab_size: 16,
    hidden_size: 32,
    intermediate_size: 32,
    num_hidden_layers: 1,
    num_attention_heads: 2,
  };
  const latent = {
    qk_nope_head_dim: 16,
    qk_rope_head_dim: 8,
    n_routed_experts: 4,
    num_experts_per_tok: 2,
    n_group: 1,
    topk_group: 1,
  };
  const deepseek = { model_type: "deepseek_v3", ...sizes, ...latent };
  expect(unreadKeys({ ...deepseek, qk_head_dim: 24, scoring_func: "sigmoid" })).toEqual([]);
  expect(() => readSpec({ ...deepseek, qk_head_dim: 32 })).toThrow(/qk_head_dim is 32/);
  expect(() => readSpec({ ...deepseek, scoring_func: "softmax" })).toThrow(/scoring_func is "softmax".*sigmoid/);
  expect(() => readSpec({ ...deepseek, moe_layer_freq: 2 })).toThrow(/moe_layer_freq is 2/);
});

describe("variants that are not computed", () => {
  const refusal = (config: ModelConfig): ModelError => {
    try {
      readSpec(config);
    } catch (error) {
      if (error instanceof ModelError) return error;
      throw error;
    }
    throw new Error("the configuration was accepted");
  };

  it.each([
    ["llama", { hidden_act: "quick_gelu" }, /hidden_act is "quick_gelu"/, /silu, swish, relu/],
    [
      "llama",
      { rope_parameters: { rope_type: "axial", rope_theta: 1e4 } },
      /rope_type is "axial"/,
      /linear, llama3, longrope/,
    ],
    ["llama", { partial_rotary_factor: 0.5 }, /partial_rotary_factor is 0\.5/, /partial_rotary_factor 1/],
    [
      "qwen2",
      { layer_types: ["full_attention", "mamba"] },
      /layer_types is "mamba"/,
      /full_attention or sliding_attention/,
    ],
    ["opt", { _remove_final_layer_norm: true }, /_remove_final_layer_norm is true/, /_remove_final_layer_norm false/],
    ["stablelm", { qk_layernorm: true }, /qk_layernorm is true/, /qk_layernorm false/],
    ["gemma4_text", { num_kv_shared_layers: 2 }, /num_kv_shared_layers is 2/, /num_kv_shared_layers 0/],
  ] as const)("of %s are refused with the feature and with what works: %j", (name, change, what, next) => {
    const config = configOf(name);
    const layers = "layer_types" in change ? { num_hidden_layers: 2 } : {};
    const error = refusal({ ...config, ...layers, ...change } as ModelConfig);
    expect(error.what).toMatch(what);
    expect(error.next).toMatch(next);
  });

  it.each(["mamba2", "mllama", "qwen2_audio"])(
    "so is the architecture %s, with the list of all that work",
    (modelType) => {
      const { what, next } = refusal({ ...configOf("llama"), model_type: modelType });
      expect(what).toContain(`"${modelType}"`);
      for (const family of families.keys()) expect(next).toContain(family);
      expect(next).toContain("gemma3, gemma4");
    },
  );

  it("a text network of an unknown kind inside a known model is named", () => {
    const whole = { model_type: "llava", text_config: { ...configOf("llama"), model_type: "mpt" } };
    expect(refusal(whole).what).toContain('"mpt"');
  });
});
