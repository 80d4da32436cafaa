import type { Family } from "../family.js";
import { llama } from "../llama.js";
import type { EachExpert } from "./experts-keys.js";

/** Each expert's Linears as modules, in Mixtral's names. */
export const mixtralExperts: EachExpert = {
  kind: "each",
  gate: "block_sparse_moe.experts.{expert}.w1",
  up: "block_sparse_moe.experts.{expert}.w3",
  down: "block_sparse_moe.experts.{expert}.w2",
};

/** What Mixtral's blocks call the Linears of their experts. */
export const mixtralNames = {
  router: "block_sparse_moe.gate",
  expertGate: "block_sparse_moe.experts.w1",
  expertUp: "block_sparse_moe.experts.w3",
  expertDown: "block_sparse_moe.experts.w2",
} as const;

/** Mixtral: Mistral with experts in every block. */
export const mixtral: Family = {
  ...llama,
  modelType: "mixtral",
  defaults: { activation: "silu", maxPositions: 131072, kvHeads: 8, headDim: null },
  norm: { kind: "rms", eps: { key: "rms_norm_eps", default: 1e-5 } },
  rotary: { theta: 1e6 },
  attention: {
    qkvBias: false,
    outBias: false,
    qkNorm: false,
    slidingWindow: { key: "sliding_window", default: null },
  },
  mlp: { kind: "gated", bias: false },
  experts: {
    blocks: "all",
    count: ["num_local_experts", "num_experts"],
    perToken: { key: "num_experts_per_tok", default: 2 },
    width: { key: "intermediate_size", default: 14336 },
    router: { scores: "softmax", normalised: true },
    stored: [mixtralExperts],
    each: mixtralExperts,
  },
  names: { ...llama.names, linears: { ...llama.names.linears, ...mixtralNames } },
};
