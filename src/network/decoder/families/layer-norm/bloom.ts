import type { Family } from "../family.js";

/** BLOOM: scores that fall with the distance in place of positions, a LayerNorm behind the embedding, biases everywhere. */
export const bloom: Family = {
  modelType: "bloom",
  keys: {
    hiddenSize: "hidden_size",
    intermediateSize: "n_inner",
    blocks: "n_layer",
    heads: "n_head",
    kvHeads: null,
    headDim: null,
    activation: "hidden_act",
    maxPositions: "seq_length",
  },
  defaults: { activation: "gelu_new", maxPositions: 2048, kvHeads: null, headDim: null, widening: 4 },
  norm: { kind: "layer", eps: { key: "layer_norm_epsilon", default: 1e-5 } },
  positions: "alibi",
  attention: { qkvBias: true, outBias: true, qkNorm: false, slidingWindow: null },
  mlp: { kind: "plain", bias: true },
  tied: { key: "tie_word_embeddings", default: true },
  names: {
    embedding: "transformer.word_embeddings",
    embeddingNorm: "transformer.word_embeddings_layernorm",
    finalNorm: "transformer.ln_f",
    head: "lm_head",
    block: "transformer.h.{block}",
    norms: { attentionNorm: "input_layernorm", mlpNorm: "post_attention_layernorm" },
    linears: {
      q: "self_attention.q_proj",
      k: "self_attention.k_proj",
      v: "self_attention.v_proj",
      o: "self_attention.dense",
      up: "mlp.dense_h_to_4h",
      down: "mlp.dense_4h_to_h",
    },
  },
  stored: { fused: [{ module: "self_attention.query_key_value", parts: ["q", "k", "v"], order: "heads" }] },
  requires: { apply_residual_connection_post_layernorm: false },
};
