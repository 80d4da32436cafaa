import type { StoredExperts } from "../../spec/experts/experts-spec.js";
import type { Family } from "../family.js";
import { qwen2 } from "../qwen2.js";
import { qwen3 } from "../qwen3.js";
import type { EachExpert, ExpertsKeys } from "./experts-keys.js";

/** Each expert's Linears as modules, as in Qwen, DeepSeek and GLM. */
export const eachExpert: EachExpert = {
  kind: "each",
  gate: "mlp.experts.{expert}.gate_proj",
  up: "mlp.experts.{expert}.up_proj",
  down: "mlp.experts.{expert}.down_proj",
};

/** All experts in two tensors, as newer checkpoints of Qwen have them. */
export const stackedExperts: StoredExperts = {
  kind: "stacked",
  gateUp: "mlp.experts.gate_up_proj",
  down: "mlp.experts.down_proj",
  transposed: false,
  rows: "halves",
};

/** What blocks call the Linears of their experts. */
export const expertNames = {
  router: "mlp.gate",
  expertGate: "mlp.experts.gate_proj",
  expertUp: "mlp.experts.up_proj",
  expertDown: "mlp.experts.down_proj",
} as const;

/** Those of an MLP beside the experts, with its gate. */
export const gatedSharedExpertNames = {
  sharedGate: "mlp.shared_expert.gate_proj",
  sharedUp: "mlp.shared_expert.up_proj",
  sharedDown: "mlp.shared_expert.down_proj",
  sharedExpertGate: "mlp.shared_expert_gate",
} as const;

/** The experts of Qwen3: softmax over all, in all blocks but those that a list names. */
const qwen3Experts: ExpertsKeys = {
  blocks: { lastOf: { key: "decoder_sparse_step", default: 1 }, except: "mlp_only_layers" },
  count: ["num_experts", "num_local_experts"],
  perToken: { key: "num_experts_per_tok", default: 8 },
  width: { key: "moe_intermediate_size", default: 768 },
  router: { scores: "softmax", normalised: { key: "norm_topk_prob", default: false } },
  stored: [eachExpert, stackedExperts],
  each: eachExpert,
};

/** Qwen3-MoE: Qwen3 with experts. */
export const qwen3Moe: Family = {
  ...qwen3,
  modelType: "qwen3_moe",
  defaults: { activation: "silu", maxPositions: 32768, kvHeads: 4, headDim: null },
  experts: qwen3Experts,
  names: { ...qwen3.names, linears: { ...qwen3.names.linears, ...expertNames } },
};

/** Qwen2-MoE: Qwen2 with experts, and a gated MLP beside them. */
export const qwen2Moe: Family = {
  ...qwen2,
  modelType: "qwen2_moe",
  defaults: { activation: "silu", maxPositions: 32768, kvHeads: 16, headDim: null },
  attention: { ...qwen2.attention, qkvBias: { key: "qkv_bias", default: true } },
  experts: {
    ...qwen3Experts,
    perToken: { key: "num_experts_per_tok", default: 4 },
    width: { key: "moe_intermediate_size", default: 1408 },
    shared: { width: { key: "shared_expert_intermediate_size", default: 5632 }, gate: true },
  },
  names: { ...qwen2.names, linears: { ...qwen2.names.linears, ...expertNames, ...gatedSharedExpertNames } },
};
