import type { Family } from "../family.js";
import { gemma3Text } from "./gemma3.js";

/**
 * Gemma 4, its text tower: plain gains, a norm of the values, scores as they are, wider heads in full blocks whose values may be
 * their keys, and a factor of each block's output.
 */
export const gemma4Text: Family = {
  ...gemma3Text,
  modelType: "gemma4_text",
  sizes: {
    vocab_size: 262144,
    hidden_size: 2304,
    intermediate_size: 9216,
    num_hidden_layers: 30,
    num_attention_heads: 8,
  },
  norm: { kind: "rms", eps: { key: "rms_norm_eps", default: 1e-6 } },
  rotary: {
    kinds: {
      full_attention: { theta: 1e6, scaled: true, type: "proportional", partial: 0.25 },
      sliding_attention: { theta: 1e4, scaled: false },
    },
  },
  kinds: {
    types: "layer_types",
    known: ["full_attention", "sliding_attention"],
    absent: { allBut: 6, kind: "sliding_attention" },
    lastIsFull: true,
  },
  attention: {
    qkvBias: { key: "attention_bias", default: false },
    outBias: { key: "attention_bias", default: false },
    qkNorm: "head",
    valueNorm: true,
    slidingWindow: { key: "sliding_window", default: 512 },
    scale: { fact: 1 },
    full: {
      headDim: { key: "global_head_dim", default: 512 },
      kvHeads: "num_global_key_value_heads",
      valuesAreKeys: { key: "attention_k_eq_v", default: false },
    },
    perBlock: "per_layer_config",
  },
  experts: {
    enabledBy: "enable_moe_block",
    blocks: "all",
    count: ["num_experts"],
    perToken: { key: "top_k_experts", default: 1 },
    width: { key: "moe_intermediate_size", default: 1 },
    router: { scores: "softmax", normalised: true, readsStream: true, expertScale: true },
    besideDense: true,
    stored: [
      { kind: "stacked", gateUp: "experts.gate_up_proj", down: "experts.down_proj", transposed: false, rows: "halves" },
    ],
    each: {
      kind: "each",
      gate: "experts.{expert}.gate_proj",
      up: "experts.{expert}.up_proj",
      down: "experts.{expert}.down_proj",
    },
  },
  names: {
    ...gemma3Text.names,
    norms: {
      ...gemma3Text.names.norms,
      densePostNorm: "post_feedforward_layernorm_1",
      expertsNorm: "pre_feedforward_layernorm_2",
      expertsPostNorm: "post_feedforward_layernorm_2",
    },
    linears: {
      ...gemma3Text.names.linears,
      router: "router.proj",
      expertGate: "experts.gate_proj",
      expertUp: "experts.up_proj",
      expertDown: "experts.down_proj",
    },
    tensors: {
      outputScalar: "layer_scalar",
      routerScale: "router.scale",
      expertScale: "router.per_expert_scale",
    },
  },
  requires: {
    // Attends to what comes behind among images alone.
    use_bidirectional_attention: { oneOf: ["vision"] },
    // Inputs of their own for each block, and keys and values that blocks share (E2B, E4B).
    hidden_size_per_layer_input: { oneOf: [0], absent: 256 },
    num_kv_shared_layers: 0,
    use_double_wide_mlp: false,
  },
};
