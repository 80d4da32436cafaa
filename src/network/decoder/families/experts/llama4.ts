import type { Family } from "../family.js";
import { llama } from "../llama.js";
import type { EachExpert } from "./experts-keys.js";

const each: EachExpert = {
  kind: "each",
  gate: "feed_forward.experts.{expert}.gate_proj",
  up: "feed_forward.experts.{expert}.up_proj",
  down: "feed_forward.experts.{expert}.down_proj",
};

/**
 * Llama 4, its text tower: attention in chunks with norms behind the positions, every fourth block without positions and with
 * queries that grow; experts whose weights multiply what they read, one MLP beside them, dense blocks between.
 */
export const llama4Text: Family = {
  ...llama,
  modelType: "llama4_text",
  defaults: { activation: "silu", maxPositions: 131072, kvHeads: 8, headDim: 128 },
  sizes: {
    vocab_size: 202048,
    hidden_size: 5120,
    intermediate_size: 8192,
    num_hidden_layers: 48,
    num_attention_heads: 40,
  },
  norm: { kind: "rms", eps: { key: "rms_norm_eps", default: 1e-5 } },
  rotary: {
    theta: 5e5,
    pairs: "neighbours",
    where: { kind: "listed", list: "no_rope_layers", allBut: { key: "no_rope_layer_interval", default: 4 } },
  },
  kinds: {
    types: "layer_types",
    known: ["full_attention", "chunked_attention"],
    absent: { rotated: true, kind: "chunked_attention" },
  },
  attention: {
    ...llama.attention,
    positionedNorm: { key: "use_qk_norm", default: true },
    chunk: { key: "attention_chunk_size", default: 8192 },
    temperature: {
      enabledBy: { key: "attn_temperature_tuning", default: true },
      floor: { key: "floor_scale", default: 8192 },
      scale: { key: "attn_scale", default: 0.1 },
    },
  },
  mlp: { kind: "gated", bias: false },
  experts: {
    blocks: { listed: "moe_layers", lastOf: { key: "interleave_moe_layer_step", default: 1 } },
    count: ["num_local_experts"],
    perToken: { key: "num_experts_per_tok", default: 1 },
    width: { key: "intermediate_size", default: 8192 },
    router: { scores: "sigmoid", normalised: false },
    weighsInput: true,
    shared: { width: { key: "intermediate_size", default: 8192 }, gate: false },
    denseWidth: { key: "intermediate_size_mlp", default: 16384 },
    stored: [
      {
        kind: "stacked",
        gateUp: "feed_forward.experts.gate_up_proj",
        down: "feed_forward.experts.down_proj",
        transposed: true,
        rows: "halves",
      },
    ],
    each,
  },
  names: {
    ...llama.names,
    linears: {
      ...llama.names.linears,
      gate: "feed_forward.gate_proj",
      up: "feed_forward.up_proj",
      down: "feed_forward.down_proj",
      router: "feed_forward.router",
      expertGate: "feed_forward.experts.gate_proj",
      expertUp: "feed_forward.experts.up_proj",
      expertDown: "feed_forward.experts.down_proj",
      sharedGate: "feed_forward.shared_expert.gate_proj",
      sharedUp: "feed_forward.shared_expert.up_proj",
      sharedDown: "feed_forward.shared_expert.down_proj",
    },
  },
};
