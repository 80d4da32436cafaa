import type { Family } from "../family.js";
import { llama } from "../llama.js";
import type { ExpertsKeys } from "./experts-keys.js";
import { correctedSigmoid, sharedExpertNames, sharedExperts } from "./glm4-moe.js";
import { eachExpert, expertNames, stackedExperts } from "./qwen3-moe.js";

const names = {
  ...llama.names,
  norms: {
    ...llama.names.norms,
    qLatentNorm: "self_attn.q_a_layernorm",
    kvLatentNorm: "self_attn.kv_a_layernorm",
  },
  linears: {
    ...llama.names.linears,
    qDown: "self_attn.q_a_proj",
    qUp: "self_attn.q_b_proj",
    kvDown: "self_attn.kv_a_proj_with_mqa",
    kvUp: "self_attn.kv_b_proj",
    ...expertNames,
    ...sharedExpertNames,
  },
} as const;

const experts: Omit<ExpertsKeys, "router" | "perToken" | "width" | "shared"> = {
  blocks: { from: { key: "first_k_dense_replace", default: 0 } },
  count: ["n_routed_experts", "num_local_experts", "num_experts"],
  stored: [eachExpert, stackedExperts],
  each: eachExpert,
};

/** DeepSeek-V2: latent attention, dense blocks first, then experts chosen by a softmax, with some beside them. */
export const deepseekV2: Family = {
  ...llama,
  modelType: "deepseek_v2",
  latent: { queryRank: 1536, rank: 512, plainDim: 128, rotaryDim: 64, valueDim: 128 },
  rotary: { pairs: "neighbours" },
  mlp: { kind: "gated", bias: { key: "mlp_bias", default: false } },
  experts: {
    ...experts,
    perToken: { key: "num_experts_per_tok", default: 6 },
    width: { key: "moe_intermediate_size", default: 1407 },
    router: {
      scores: "softmax",
      // Its groups count only with this method.
      groups: {
        count: { key: "n_group", default: 1 },
        kept: { key: "topk_group", default: 1 },
        by: "best",
        where: { key: "topk_method", value: "group_limited_greedy" },
      },
      normalised: false,
      scaling: { key: "routed_scaling_factor", default: 1 },
    },
    shared: {
      ...sharedExperts(1407, { key: "n_shared_experts", default: 2 }),
      bias: { key: "mlp_bias", default: false },
    },
  },
  names,
  requires: {
    topk_method: { oneOf: ["greedy", "group_limited_greedy"] },
    scoring_func: "softmax",
    norm_topk_prob: false,
    moe_layer_freq: 1,
  },
};

/** DeepSeek-V3 and R1: latent attention, experts chosen by corrected sigmoids from the best groups. */
export const deepseekV3: Family = {
  ...llama,
  modelType: "deepseek_v3",
  defaults: { activation: "silu", maxPositions: 4096, kvHeads: null, headDim: null },
  latent: { queryRank: 1536, rank: 512, plainDim: 128, rotaryDim: 64, valueDim: 128 },
  rotary: { pairs: { neighboursBy: { key: "rope_interleave", default: true } } },
  mlp: { kind: "gated", bias: false },
  experts: {
    ...experts,
    blocks: { from: { key: "first_k_dense_replace", default: 3 } },
    perToken: { key: "num_experts_per_tok", default: 8 },
    width: { key: "moe_intermediate_size", default: 2048 },
    router: {
      ...correctedSigmoid,
      groups: { count: { key: "n_group", default: 8 }, kept: { key: "topk_group", default: 4 }, by: "two-best" },
      scaling: { key: "routed_scaling_factor", default: 2.5 },
    },
    shared: sharedExperts(2048),
  },
  names: { ...names, tensors: { routerCorrection: "mlp.gate.e_score_correction_bias" } },
  requires: { scoring_func: "sigmoid", topk_method: "noaux_tc", moe_layer_freq: 1 },
};

/** GLM-4.7 Flash: DeepSeek-V3's attention and experts, which a list may give to any blocks. */
export const glm4MoeLite: Family = {
  ...deepseekV3,
  modelType: "glm4_moe_lite",
  defaults: { activation: "silu", maxPositions: 202752, kvHeads: null, headDim: null },
  norm: { kind: "rms", eps: { key: "rms_norm_eps", default: 1e-5 } },
  latent: { queryRank: 768, rank: 512, plainDim: 192, rotaryDim: 64, valueDim: 256 },
  experts: {
    ...(deepseekV3.experts as ExpertsKeys),
    blocks: { types: "mlp_layer_types", from: { key: "first_k_dense_replace", default: 1 } },
    perToken: { key: "num_experts_per_tok", default: 4 },
    width: { key: "moe_intermediate_size", default: 1536 },
    router: { ...correctedSigmoid, scaling: { key: "routed_scaling_factor", default: 1.8 } },
    shared: sharedExperts(1536),
  },
};

const { experts: _, ...withoutExperts } = deepseekV3;

/** Youtu-LLM: DeepSeek-V3's attention with a dense MLP. */
export const youtu: Family = {
  ...withoutExperts,
  modelType: "youtu",
  defaults: { activation: "silu", maxPositions: 131072, kvHeads: null, headDim: null },
  tied: { key: "tie_word_embeddings", default: true },
  names: {
    ...names,
    linears: Object.fromEntries(
      Object.entries(names.linears).filter(([role]) => !/^(?:router|expert|shared)/.test(role)),
    ),
  },
  requires: {},
};
