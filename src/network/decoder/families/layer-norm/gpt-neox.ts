import type { Family } from "../family.js";

/** GPT-NeoX and Pythia: LayerNorms, attention and a plain MLP side by side, queries, keys and values stored head by head. */
export const gptNeox: Family = {
  modelType: "gpt_neox",
  keys: {
    hiddenSize: "hidden_size",
    intermediateSize: "intermediate_size",
    blocks: "num_hidden_layers",
    heads: "num_attention_heads",
    kvHeads: null,
    headDim: null,
    activation: "hidden_act",
  },
  defaults: { activation: "gelu", maxPositions: 2048, kvHeads: null, headDim: null },
  norm: { kind: "layer", eps: { key: "layer_norm_eps", default: 1e-5 } },
  arrangement: { key: "use_parallel_residual", default: true },
  positions: "rotary",
  rotary: { partial: { key: "rotary_pct", default: 0.25 }, thetaKey: "rotary_emb_base" },
  attention: {
    qkvBias: { key: "attention_bias", default: true },
    outBias: { key: "attention_bias", default: true },
    qkNorm: false,
    slidingWindow: null,
  },
  mlp: { kind: "plain", bias: true },
  tied: { key: "tie_word_embeddings", default: false },
  names: {
    embedding: "gpt_neox.embed_in",
    finalNorm: "gpt_neox.final_layer_norm",
    head: "embed_out",
    block: "gpt_neox.layers.{block}",
    norms: { attentionNorm: "input_layernorm", mlpNorm: "post_attention_layernorm" },
    linears: {
      q: "attention.q_proj",
      k: "attention.k_proj",
      v: "attention.v_proj",
      o: "attention.dense",
      up: "mlp.dense_h_to_4h",
      down: "mlp.dense_4h_to_h",
    },
  },
  stored: { fused: [{ module: "attention.query_key_value", parts: ["q", "k", "v"], order: "heads" }] },
};
