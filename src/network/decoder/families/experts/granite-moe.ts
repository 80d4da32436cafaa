import type { Family } from "../family.js";
import { llama } from "../llama.js";
import type { EachExpert } from "./experts-keys.js";

const each: EachExpert = {
  kind: "each",
  gate: "block_sparse_moe.experts.{expert}.gate_proj",
  up: "block_sparse_moe.experts.{expert}.up_proj",
  down: "block_sparse_moe.experts.{expert}.down_proj",
};

/** Granite 3 MoE: Granite with experts in every block, the softmax over those that are chosen. */
export const graniteMoe: Family = {
  ...llama,
  modelType: "granitemoe",
  attention: {
    ...llama.attention,
    outBias: { key: "attention_bias", default: false },
    scale: { fact: { key: "attention_multiplier", default: 1 } },
  },
  multipliers: {
    embedding: { key: "embedding_multiplier", default: 1 },
    residual: { key: "residual_multiplier", default: 1 },
    logitsDivisor: { key: "logits_scaling", default: 1 },
  },
  experts: {
    blocks: "all",
    count: ["num_local_experts"],
    perToken: { key: "num_experts_per_tok", default: 2 },
    width: { key: "intermediate_size", default: 11008 },
    router: { scores: "chosen-softmax", normalised: false },
    stored: [
      {
        kind: "stacked",
        gateUp: "block_sparse_moe.input_linear.weight",
        down: "block_sparse_moe.output_linear.weight",
        transposed: false,
        rows: "halves",
      },
    ],
    each,
  },
  names: {
    ...llama.names,
    linears: {
      ...llama.names.linears,
      router: "block_sparse_moe.router.layer",
      expertGate: "block_sparse_moe.experts.gate_proj",
      expertUp: "block_sparse_moe.experts.up_proj",
      expertDown: "block_sparse_moe.experts.down_proj",
    },
  },
};

type Experts = NonNullable<Family["experts"]>;

/** Granite 3 MoE with an MLP beside the experts, whose gate and input are one tensor. */
export const graniteMoeShared: Family = {
  ...graniteMoe,
  modelType: "granitemoeshared",
  experts: {
    ...(graniteMoe.experts as Experts),
    shared: { width: { key: "shared_intermediate_size", default: 0 }, gate: false },
  },
  names: {
    ...graniteMoe.names,
    linears: {
      ...graniteMoe.names.linears,
      sharedGate: "shared_mlp.gate_proj",
      sharedUp: "shared_mlp.up_proj",
      sharedDown: "shared_mlp.output_linear",
    },
  },
  stored: { fused: [{ module: "shared_mlp.input_linear", parts: ["sharedGate", "sharedUp"], order: "stacked" }] },
};
