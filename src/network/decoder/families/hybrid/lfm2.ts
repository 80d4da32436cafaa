import type { EachExpert } from "../experts/experts-keys.js";
import type { Family } from "../family.js";
import { llama } from "../llama.js";

/** LFM2: gated short convolutions in most blocks, attention with norms over each head in the others. */
export const lfm2: Family = {
  ...llama,
  modelType: "lfm2",
  defaults: { activation: "silu", maxPositions: 128000, kvHeads: 8, headDim: null },
  norm: { kind: "rms", eps: { key: "norm_eps", default: 1e-5 } },
  rotary: { theta: 1e6 },
  kinds: {
    types: "layer_types",
    known: ["full_attention", "conv"],
    absent: { fullListed: "full_attn_idxs", kind: "conv" },
  },
  attention: { qkvBias: false, outBias: false, qkNorm: "head", slidingWindow: null },
  convolution: { kernel: { key: "conv_L_cache", default: 3 }, bias: { key: "conv_bias", default: false } },
  mlp: {
    kind: "gated",
    bias: false,
    narrowed: {
      enabledBy: { key: "block_auto_adjust_ff_dim", default: true },
      factor: { key: "block_ffn_dim_multiplier", default: 1 },
      multiple: { key: "block_multiple_of", default: 256 },
    },
  },
  tied: { key: "tie_word_embeddings", default: true },
  names: {
    ...llama.names,
    finalNorm: "model.embedding_norm",
    norms: {
      attentionNorm: "operator_norm",
      mlpNorm: "ffn_norm",
      qNorm: "self_attn.q_layernorm",
      kNorm: "self_attn.k_layernorm",
    },
    linears: {
      q: "self_attn.q_proj",
      k: "self_attn.k_proj",
      v: "self_attn.v_proj",
      o: "self_attn.out_proj",
      convolutionIn: "conv.in_proj",
      convolutionOut: "conv.out_proj",
      gate: "feed_forward.w1",
      up: "feed_forward.w3",
      down: "feed_forward.w2",
    },
    tensors: { convolution: "conv.conv.weight", convolutionBias: "conv.conv.bias" },
  },
  olderKeys: { block_ff_dim: "intermediate_size", tie_embedding: "tie_word_embeddings" },
};

const each: EachExpert = {
  kind: "each",
  gate: "feed_forward.experts.{expert}.w1",
  up: "feed_forward.experts.{expert}.w3",
  down: "feed_forward.experts.{expert}.w2",
};

/** LFM2 with experts behind dense blocks, chosen by corrected sigmoids. */
export const lfm2Moe: Family = {
  ...lfm2,
  modelType: "lfm2_moe",
  kinds: { types: "layer_types", known: ["full_attention", "conv"], absent: { from: 0, kind: "full_attention" } },
  mlp: { kind: "gated", bias: false },
  experts: {
    blocks: { from: { key: "num_dense_layers", default: 2 } },
    count: ["num_experts", "num_local_experts"],
    perToken: { key: "num_experts_per_tok", default: 4 },
    width: { key: "moe_intermediate_size", default: 1792 },
    router: {
      scores: "sigmoid",
      correction: { key: "use_expert_bias", default: true },
      normalised: { key: "norm_topk_prob", default: true },
      epsilon: 1e-6,
      scaling: { key: "routed_scaling_factor", default: 1 },
    },
    stored: [each],
    each,
  },
  names: {
    ...lfm2.names,
    linears: {
      ...lfm2.names.linears,
      router: "feed_forward.gate",
      expertGate: "feed_forward.experts.w1",
      expertUp: "feed_forward.experts.w3",
      expertDown: "feed_forward.experts.w2",
    },
    tensors: { ...lfm2.names.tensors, routerCorrection: "feed_forward.expert_bias" },
  },
  olderKeys: { tie_embedding: "tie_word_embeddings" },
};
