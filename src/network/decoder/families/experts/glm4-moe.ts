import type { Fact, Family } from "../family.js";
import { llama, namesWithHeadNorms } from "../llama.js";
import type { ExpertsKeys } from "./experts-keys.js";
import { eachExpert, expertNames, stackedExperts } from "./qwen3-moe.js";

/** The router of DeepSeek-V3 and GLM: sigmoids with a correction for the choice, groups of experts, a factor of the weights. */
export const correctedSigmoid: ExpertsKeys["router"] = {
  scores: "sigmoid",
  correction: true,
  groups: { count: { key: "n_group", default: 1 }, kept: { key: "topk_group", default: 1 }, by: "two-best" },
  normalised: { key: "norm_topk_prob", default: true },
  epsilon: 1e-20,
  scaling: { key: "routed_scaling_factor", default: 1 },
};

/** Those of an MLP beside the experts, without a gate. */
export const sharedExpertNames = {
  sharedGate: "mlp.shared_experts.gate_proj",
  sharedUp: "mlp.shared_experts.up_proj",
  sharedDown: "mlp.shared_experts.down_proj",
} as const;

/** An MLP beside the experts, as wide as several of them, without a gate. */
export function sharedExperts(
  width: number,
  times: Fact<number> = { key: "n_shared_experts", default: 1 },
): NonNullable<ExpertsKeys["shared"]> {
  return { width: { key: "moe_intermediate_size", default: width }, times, gate: false };
}

/** GLM-4.5 to 4.7: dense blocks first, then experts with one beside them; a half of each head turns. */
export const glm4Moe: Family = {
  ...llama,
  modelType: "glm4_moe",
  defaults: { activation: "silu", maxPositions: 131072, kvHeads: 8, headDim: null },
  norm: { kind: "rms", eps: { key: "rms_norm_eps", default: 1e-5 } },
  rotary: { partial: { key: "partial_rotary_factor", default: 0.5 } },
  attention: {
    qkvBias: { key: "attention_bias", default: false },
    outBias: false,
    qkNorm: { key: "use_qk_norm", default: false },
    slidingWindow: null,
  },
  mlp: { kind: "gated", bias: false },
  experts: {
    blocks: { from: { key: "first_k_dense_replace", default: 1 } },
    count: ["n_routed_experts", "num_local_experts"],
    perToken: { key: "num_experts_per_tok", default: 8 },
    width: { key: "moe_intermediate_size", default: 1408 },
    router: correctedSigmoid,
    shared: sharedExperts(1408),
    stored: [eachExpert, stackedExperts],
    each: eachExpert,
  },
  names: {
    ...namesWithHeadNorms,
    linears: { ...namesWithHeadNorms.linears, ...expertNames, ...sharedExpertNames },
    tensors: { routerCorrection: "mlp.gate.e_score_correction_bias" },
  },
};

/** Solar Open: GLM-4.5's experts in every block, LLaMA's attention. */
export const solarOpen: Family = {
  ...glm4Moe,
  modelType: "solar_open",
  defaults: { activation: "silu", maxPositions: 131072, kvHeads: 8, headDim: 128 },
  rotary: { theta: 1e6, partial: { key: "partial_rotary_factor", default: 1 } },
  attention: { ...glm4Moe.attention, qkNorm: false },
  experts: {
    ...(glm4Moe.experts as ExpertsKeys),
    blocks: "all",
    width: { key: "moe_intermediate_size", default: 1280 },
    shared: sharedExperts(1280),
  },
  names: {
    ...llama.names,
    linears: { ...llama.names.linears, ...expertNames, ...sharedExpertNames },
    tensors: { routerCorrection: "mlp.gate.e_score_correction_bias" },
  },
};
