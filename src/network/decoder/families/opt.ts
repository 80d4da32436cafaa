import type { Family } from "./family.js";

/** OPT: learned positions, LayerNorm, a plain ReLU MLP, biases everywhere. */
export const opt: Family = {
  modelType: "opt",
  keys: {
    hiddenSize: "hidden_size",
    intermediateSize: "ffn_dim",
    blocks: "num_hidden_layers",
    heads: "num_attention_heads",
    kvHeads: null,
    headDim: null,
    activation: "activation_function",
  },
  defaults: { activation: "relu", maxPositions: 2048, kvHeads: null, headDim: null },
  norm: { kind: "layer", eps: 1e-5 },
  positions: { learnedOffset: 2 },
  attention: {
    qkvBias: { key: "enable_bias", default: true },
    outBias: { key: "enable_bias", default: true },
    qkNorm: false,
    slidingWindow: null,
  },
  mlp: { kind: "plain", bias: { key: "enable_bias", default: true } },
  tied: { key: "tie_word_embeddings", default: true },
  names: {
    embedding: "model.decoder.embed_tokens",
    positions: "model.decoder.embed_positions",
    finalNorm: "model.decoder.final_layer_norm",
    head: "lm_head",
    block: "model.decoder.layers.{block}",
    norms: { attentionNorm: "self_attn_layer_norm", mlpNorm: "final_layer_norm" },
    linears: {
      q: "self_attn.q_proj",
      k: "self_attn.k_proj",
      v: "self_attn.v_proj",
      o: "self_attn.out_proj",
      up: "fc1",
      down: "fc2",
    },
  },
  // Variants of the 350M size: norms after the sublayers, and a projection around the embedding.
  requires: { do_layer_norm_before: true, layer_norm_elementwise_affine: true, _remove_final_layer_norm: false },
  equal: [["word_embed_proj_dim", "hidden_size"]],
};
