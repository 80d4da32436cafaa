import { describe, expect, it } from "vitest";
import type { ModelConfig } from "../../../checkpoint/model-config.js";
import { readSpec } from "../../../network/index.js";
import { ggufContext, modelShape } from "./model-shape.js";
import { ropeEncoding } from "./rope-scaling.js";

const sizes: ModelConfig = {
  ...{ hidden_size: 64, intermediate_size: 96, num_hidden_layers: 4, num_attention_heads: 4, num_key_value_heads: 2 },
  ...{ vocab_size: 100, max_position_embeddings: 128, rms_norm_eps: 1e-6, tie_word_embeddings: true },
};
const deepseek: ModelConfig = {
  ...{ ...sizes, model_type: "deepseek_v3", num_key_value_heads: 4, tie_word_embeddings: false },
  ...{ q_lora_rank: 24, kv_lora_rank: 32, qk_rope_head_dim: 8, qk_nope_head_dim: 16, v_head_dim: 16 },
  ...{ n_routed_experts: 8, n_shared_experts: 1, num_experts_per_tok: 2, moe_intermediate_size: 48 },
  ...{ first_k_dense_replace: 1, n_group: 2, topk_group: 1 },
};
const llama4: ModelConfig = {
  ...{ ...sizes, model_type: "llama4_text", head_dim: 16, intermediate_size_mlp: 96, num_local_experts: 4 },
  ...{ num_experts_per_tok: 1, interleave_moe_layer_step: 2, attention_chunk_size: 8192 },
};
const hybrid: ModelConfig = {
  ...{ ...sizes, model_type: "qwen3_5_text", head_dim: 16, linear_num_key_heads: 2, linear_num_value_heads: 4 },
  ...{ linear_key_head_dim: 16, linear_value_head_dim: 16 },
};
const own = (config: ModelConfig): Record<string, unknown> =>
  Object.fromEntries(
    modelShape(readSpec(config)).own.map(([key, { type, ...value }]) => [
      key,
      "values" in value ? value.values : "value" in value ? value.value : type,
    ]),
  );

describe("what llama.cpp's graph of an architecture has", () => {
  it.each([
    [
      "biases that it lacks",
      { ...sizes, model_type: "gemma3_text", head_dim: 16, attention_bias: true },
      /queries.*biases.*gemma3/,
    ],
    [
      "heads wider than the stream",
      { ...sizes, model_type: "qwen2", head_dim: 32 },
      /heads of block 0 have 128 channels/,
    ],
    [
      "a head of its own",
      { ...sizes, model_type: "cohere2", tie_word_embeddings: false },
      /takes the embedding for it in cohere2/,
    ],
    [
      "no norms behind positions",
      { ...llama4, use_qk_norm: false },
      /have no norms behind their positions.*128 experts/,
    ],
    ["chunks that a context reaches", { ...llama4, attention_chunk_size: 16 }, /block 0 has chunks of 16 tokens/],
    ["another epsilon of latents", { ...deepseek, rms_norm_eps: 1e-5 }, /epsilon 0.000001, and llama.cpp computes/],
    [
      "blocks by whose number it knows small models",
      { ...deepseek, num_hidden_layers: 27 },
      /27 blocks for one whose queries/,
    ],
    ["values of another width than keys", { ...hybrid, linear_value_head_dim: 8 }, /16 wide and values 8/],
  ] as const)("refuses %s", (_, config, message) => {
    expect(() => modelShape(readSpec(config))).toThrow(message);
    expect(() => modelShape(readSpec(config))).toThrow(/Next: use --format compressed-tensors/);
  });

  it("promises no more context than the narrowest window, whichever blocks have one", () => {
    const later = {
      ...sizes,
      model_type: "qwen3",
      head_dim: 16,
      use_sliding_window: true,
      sliding_window: 24,
      max_window_layers: 2,
    };
    expect(ggufContext(readSpec(later))).toBe(24);
    expect(ggufContext(readSpec({ ...later, max_window_layers: 4 }))).toBe(128);
  });
});

describe("keys of single architectures", () => {
  it("are the latents and the groups of experts of a DeepSeek", () => {
    expect(own(deepseek)).toMatchObject({
      ...{ "attention.q_lora_rank": 24, "attention.kv_lora_rank": 32, leading_dense_block_count: 1 },
      ...{ expert_group_count: 2, expert_group_used_count: 1, expert_gating_func: 2, expert_shared_count: 1 },
    });
    expect(own({ ...deepseek, n_group: 1, topk_group: 1 })).not.toHaveProperty("expert_group_count");
  });

  it("are what scores of latents grow by with YaRN, a tenth of it", () => {
    const yarn = { rope_type: "yarn", rope_theta: 1e4, factor: 40, original_max_position_embeddings: 64 };
    const growing = { ...deepseek, rope_parameters: { ...yarn, mscale: 0.72, mscale_all_dim: 0.72 } };
    const { value } = ropeEncoding(readSpec(growing)).keys.get("rope.scaling.yarn_log_multiplier") as { value: number };
    expect(value).toBeCloseTo(0.072, 6);
    expect(() => ropeEncoding(readSpec({ ...deepseek, rope_parameters: yarn }))).toThrow(
      /without mscale_all_dim.*Next: /,
    );
  });

  it("are the sizes of delta nets, and which blocks are some", () => {
    expect(own(hybrid)).toMatchObject({
      ...{ "ssm.state_size": 16, "ssm.group_count": 2, "ssm.time_step_rank": 4, "ssm.inner_size": 64 },
      ...{ "ssm.conv_kernel": 4, full_attention_interval: 4 },
      // Of the two pairs that turn.
      "rope.dimension_sections": [1, 1, 0, 0],
    });
    const kinds = ["full_attention", "linear_attention", "linear_attention", "full_attention"];
    expect(own({ ...hybrid, layer_types: kinds })["attention.recurrent_layers"]).toEqual([false, true, true, false]);
  });

  it("are what blocks of Gemma 4 with a window have of their own", () => {
    const layers = ["full_attention", "sliding_attention", "sliding_attention", "full_attention"];
    const gemma4: ModelConfig = {
      ...{
        ...sizes,
        model_type: "gemma4_text",
        head_dim: 16,
        global_head_dim: 32,
        layer_types: layers,
        sliding_window: 8,
      },
      hidden_size_per_layer_input: 0,
    };
    expect(own(gemma4)).toMatchObject({
      ...{ "attention.key_length_swa": 16, "attention.sliding_window": 8, "rope.dimension_count_swa": 16 },
      "attention.sliding_window_pattern": [false, true, true, false],
    });
    const { scales, headDim } = modelShape(readSpec(gemma4));
    expect([headDim, ...scales]).toEqual([32, ["final_logit_softcapping", 0]]);
    const [divisors] = [...ropeEncoding(readSpec(gemma4)).tables.values()];
    expect([...(divisors ?? [])].map((divisor) => (divisor < 2 ? divisor : "still"))).toEqual([
      ...[1, 1, 1, 1],
      ...Array.from({ length: 12 }, () => "still"),
    ]);
  });
});
