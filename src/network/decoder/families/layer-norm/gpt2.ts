import type { Family } from "../family.js";

/** GPT-2: learned positions, LayerNorms, a plain MLP, biases everywhere; its Linears are stored as `[in, out]`. */
export const gpt2: Family = {
  modelType: "gpt2",
  keys: {
    hiddenSize: "n_embd",
    intermediateSize: "n_inner",
    blocks: "n_layer",
    heads: "n_head",
    kvHeads: null,
    headDim: null,
    activation: "activation_function",
    maxPositions: "n_positions",
  },
  defaults: { activation: "gelu_new", maxPositions: 1024, kvHeads: null, headDim: null, widening: 4 },
  norm: { kind: "layer", eps: { key: "layer_norm_epsilon", default: 1e-5 } },
  positions: { learnedOffset: 0 },
  attention: { qkvBias: true, outBias: true, qkNorm: false, slidingWindow: null },
  mlp: { kind: "plain", bias: true },
  tied: { key: "tie_word_embeddings", default: true },
  names: {
    embedding: "transformer.wte",
    positions: "transformer.wpe",
    finalNorm: "transformer.ln_f",
    head: "lm_head",
    block: "transformer.h.{block}",
    norms: { attentionNorm: "ln_1", mlpNorm: "ln_2" },
    linears: {
      q: "attn.q_proj",
      k: "attn.k_proj",
      v: "attn.v_proj",
      o: "attn.c_proj",
      up: "mlp.c_fc",
      down: "mlp.c_proj",
    },
  },
  stored: {
    fused: [{ module: "attn.c_attn", parts: ["q", "k", "v"], order: "stacked" }],
    transposed: ["q", "k", "v", "o", "up", "down"],
  },
  requires: { scale_attn_weights: true, scale_attn_by_inverse_layer_idx: false, add_cross_attention: false },
};
