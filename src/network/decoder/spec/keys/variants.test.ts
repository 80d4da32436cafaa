import { describe, expect, it } from "vitest";
import type { ModelConfig } from "../../../../checkpoint/model-config.js";
import { ModelError } from "../../../../errors.js";
import type { ExpertsSpec } from "../decoder-spec.js";
import { readSpec, tiesEmbeddings } from "../read-spec.js";
import { withTextKeys } from "../tower/text-tower.js";

// What transformers 5.24 computes of variants of its own networks, by configurations that differ in one key from one that works.
const sizes = {
  ...{ vocab_size: 19, hidden_size: 32, intermediate_size: 24, num_hidden_layers: 4, num_attention_heads: 4 },
  num_key_value_heads: 2,
};
const experts = { n_routed_experts: 4, num_experts_per_tok: 2, moe_intermediate_size: 8, first_k_dense_replace: 1 };
const latent = { q_lora_rank: 12, kv_lora_rank: 16, qk_rope_head_dim: 4, qk_nope_head_dim: 6, v_head_dim: 8 };
const deepseek = { model_type: "deepseek_v3", ...sizes, ...experts, ...latent, n_group: 1, topk_group: 1 };

function expertsOf(config: ModelConfig): ExpertsSpec {
  const mlp = readSpec(config).blocks.at(-1)?.mlp;
  if (mlp?.kind !== "experts") throw new Error("no experts");
  return mlp;
}

function attentions(config: ModelConfig) {
  return readSpec(config).blocks.map(({ attention }) => attention);
}

describe("switches", () => {
  it("are off where they are null", () => {
    expect(expertsOf(deepseek).router.normalised).not.toBeNull();
    expect(expertsOf({ ...deepseek, norm_topk_prob: null }).router.normalised).toBeNull();
    expect(() =>
      readSpec({ ...sizes, model_type: "gpt2", n_embd: 32, n_layer: 1, n_head: 4, scale_attn_weights: null }),
    ).toThrow(/scale_attn_weights/);
  });

  it("choose which channels of DeepSeek's heads turn together", () => {
    const pairs = (change: ModelConfig) =>
      attentions({ ...deepseek, ...change }).map((each) => (each.kind === "latent" ? each.rotary.pairs : ""));
    expect(new Set(pairs({}))).toEqual(new Set(["neighbours"]));
    expect(new Set(pairs({ rope_interleave: false }))).toEqual(new Set(["halves"]));
    expect(new Set(pairs({ rope_interleave: null }))).toEqual(new Set(["halves"]));
  });
});

describe("an MLP beside the experts", () => {
  it("is none where there are zero of it, or null", () => {
    expect(expertsOf(deepseek).shared).toEqual({ width: 8, bias: false, gate: false });
    expect(expertsOf({ ...deepseek, n_shared_experts: 0 }).shared).toBeNull();
    expect(expertsOf({ ...deepseek, n_shared_experts: null }).shared).toBeNull();
    const granite = { model_type: "granitemoeshared", ...sizes, num_local_experts: 4 };
    expect(expertsOf(granite).shared).toBeNull();
    expect(expertsOf({ ...granite, shared_intermediate_size: 16 }).shared?.width).toBe(16);
  });

  it("has DeepSeek-V2's biases of all MLPs", () => {
    const two = { ...deepseek, model_type: "deepseek_v2", topk_method: "greedy" };
    expect(expertsOf(two).shared?.bias).toBe(false);
    expect(expertsOf({ ...two, mlp_bias: true }).shared?.bias).toBe(true);
  });
});

describe("positions", () => {
  const rotated = (config: ModelConfig) =>
    attentions(config).map((each) => each.kind === "softmax" && each.rotary !== null);

  it("of EXAONE 4 are none where a window is spoken of and no block has it", () => {
    const exaone = { model_type: "exaone4", ...sizes, layer_types: Array(4).fill("full_attention") as string[] };
    expect(rotated({ ...exaone, sliding_window: 16 })).toEqual([false, false, false, false]);
    expect(rotated({ ...exaone, sliding_window: null })).toEqual([true, true, true, true]);
  });

  it("of gpt-oss are stretched where it says nothing of them", () => {
    const [first] = attentions({
      model_type: "gpt_oss",
      ...sizes,
      head_dim: 8,
      num_local_experts: 4,
      rope_theta: 5000,
    });
    if (first?.kind !== "softmax") throw new Error("no attention");
    expect(first.rotary).toMatchObject({
      theta: 5000,
      scaling: { kind: "yarn", factor: 32, wholeDimensions: false, originalContext: 4096 },
    });
  });

  it("of kinds of blocks: a share of a head is refused, a base beside them counts for Gemma 3 alone, and YaRN rounds", () => {
    const gemma = (model_type: string, change: ModelConfig): ModelConfig => ({
      ...{ model_type, ...sizes, head_dim: 8, hidden_size_per_layer_input: 0, global_head_dim: 8 },
      ...change,
    });
    const sliding = { rope_type: "default", rope_theta: 1e4 };
    const kinds = (full_attention: ModelConfig) => ({
      rope_parameters: { sliding_attention: sliding, full_attention },
    });
    const types = { layer_types: Array(4).fill("full_attention") as string[] };
    const half = { ...kinds({ rope_type: "default", rope_theta: 1e6, partial_rotary_factor: 0.5 }), ...types };
    for (const type of ["gemma3_text", "gemma4_text"]) {
      expect(() => readSpec(gemma(type, half))).toThrow(ModelError);
      expect(() => readSpec(gemma(type, half))).toThrow(/partial_rotary_factor is 0.5/);
    }
    const thetaOf = (type: string): unknown => {
      const last = attentions(gemma(type, { rope_theta: 5000, ...types })).at(-1);
      return last?.kind === "softmax" ? last.rotary?.theta : null;
    };
    expect([thetaOf("gemma3_text"), thetaOf("gemma4_text")]).toEqual([5000, 1e6]);
    const yarn = { rope_type: "yarn", rope_theta: 1e6, factor: 4, truncate: false };
    const [own] = attentions(gemma("gemma3_text", { ...kinds(yarn), ...types }));
    expect(own?.kind === "softmax" && own.rotary?.scaling).toMatchObject({ kind: "yarn", wholeDimensions: true });
  });

  it("of OLMo 3 take an older base in blocks that see everything alone, as in transformers", () => {
    const thetas = attentions({ model_type: "olmo3", ...sizes, sliding_window: 4, rope_theta: 5000 }).map((each) =>
      each.kind === "softmax" ? each.rotary?.theta : null,
    );
    expect(thetas).toEqual([5e5, 5e5, 5e5, 5000]);
  });

  it("by a width of heads that attention does not read are refused", () => {
    const neox = { model_type: "gpt_neox", ...sizes };
    expect(() => readSpec({ ...neox, head_dim: 8 })).not.toThrow();
    expect(() => readSpec({ ...neox, head_dim: 16 })).toThrow(/head_dim is 16.*\n?.*8/s);
  });

  it("of Phi-3.5-MoE have an amplitude up to the original context and one beyond it", () => {
    const divisors = [1, 1, 1, 1];
    const rope_scaling = {
      type: "longrope",
      short_factor: divisors,
      long_factor: divisors,
      short_mscale: 1.2,
      long_mscale: 1.3,
    };
    const phimoe = {
      model_type: "phimoe",
      ...sizes,
      num_local_experts: 4,
      original_max_position_embeddings: 8,
      rope_scaling,
    };
    const [first] = attentions(phimoe);
    expect(first?.kind === "softmax" && first.rotary?.scaling).toMatchObject({ amplitude: 1.2, longAmplitude: 1.3 });
    expect(() => readSpec({ ...phimoe, num_experts_per_tok: 3 })).toThrow(/num_experts_per_tok is 3/);
  });
});

describe("blocks that see everything", () => {
  it("are the first of every four in Code World Model", () => {
    const windows = attentions({ model_type: "cwm", ...sizes, num_hidden_layers: 6, sliding_window: 4 }).map((each) =>
      each.kind === "softmax" ? each.slidingWindow : 0,
    );
    expect(windows).toEqual([null, 4, 4, 4, null, 4]);
  });
});

it("delta nets have the activation of the MLPs behind their convolution", () => {
  const next = {
    model_type: "qwen3_next",
    ...sizes,
    head_dim: 8,
    num_experts: 4,
    num_experts_per_tok: 2,
    hidden_act: "gelu",
  };
  const [first] = attentions(next);
  expect(first?.kind === "delta" && first.activation).toBe("gelu");
});

it("a window of SmolLM3 is refused by its key", () => {
  const smollm3 = { model_type: "smollm3", ...sizes, sliding_window: 4 };
  const types = ["full_attention", "full_attention", "full_attention", "sliding_attention"];
  expect(() => readSpec({ ...smollm3, layer_types: types.slice(0, 3).concat("full_attention") })).not.toThrow();
  expect(() => readSpec({ ...smollm3, layer_types: types })).toThrow(/layer_types is "sliding_attention"/);
  expect(() => readSpec({ ...smollm3, use_sliding_window: true })).toThrow(/use_sliding_window is true/);
});

describe("LFM2", () => {
  const lfm2 = { model_type: "lfm2", ...sizes, intermediate_size: 1, block_ff_dim: 12288, full_attn_idxs: [2] };

  it("counts older keys, and narrows its MLP", () => {
    const spec = readSpec(lfm2);
    expect(spec.blocks.map(({ attention }) => attention.kind)).toEqual([
      ...["convolution", "convolution", "softmax", "convolution"],
    ]);
    const width = (change: ModelConfig): unknown => {
      const mlp = readSpec({ ...lfm2, ...change }).blocks[0]?.mlp;
      return mlp?.width;
    };
    expect(width({})).toBe(8192);
    expect(width({ block_ffn_dim_multiplier: 1.3 })).toBe(10752);
    expect(width({ block_ffn_dim_multiplier: null, block_ff_dim: 100 })).toBe(66);
    expect(width({ block_auto_adjust_ff_dim: false })).toBe(12288);
  });

  it("says ties by an older key, which another word on them replaces", () => {
    const untied = { ...lfm2, tie_embedding: false };
    expect([tiesEmbeddings(lfm2), tiesEmbeddings(untied)]).toEqual([true, false]);
    const tied = withTextKeys(untied, { tie_word_embeddings: true });
    expect([tiesEmbeddings(tied), Object.hasOwn(tied, "tie_embedding")]).toEqual([true, false]);
  });
});
