import type { Family } from "./family.js";

/** LLaMA 1, 2 and 3, SmolLM2, and everything saved as `LlamaForCausalLM`. */
export const llama: Family = {
  modelType: "llama",
  keys: {
    hiddenSize: "hidden_size",
    intermediateSize: "intermediate_size",
    blocks: "num_hidden_layers",
    heads: "num_attention_heads",
    kvHeads: "num_key_value_heads",
    headDim: "head_dim",
    activation: "hidden_act",
  },
  defaults: { activation: "silu", maxPositions: 2048, kvHeads: null, headDim: null },
  sizes: {
    vocab_size: 32000,
    hidden_size: 4096,
    intermediate_size: 11008,
    num_hidden_layers: 32,
    num_attention_heads: 32,
  },
  norm: { kind: "rms", eps: { key: "rms_norm_eps", default: 1e-6 } },
  positions: "rotary",
  attention: {
    qkvBias: { key: "attention_bias", default: false },
    outBias: { key: "attention_bias", default: false },
    qkNorm: false,
    slidingWindow: null,
  },
  mlp: { kind: "gated", bias: { key: "mlp_bias", default: false } },
  tied: { key: "tie_word_embeddings", default: false },
  names: {
    embedding: "model.embed_tokens",
    finalNorm: "model.norm",
    head: "lm_head",
    block: "model.layers.{block}",
    norms: {
      attentionNorm: "input_layernorm",
      mlpNorm: "post_attention_layernorm",
    },
    linears: {
      q: "self_attn.q_proj",
      k: "self_attn.k_proj",
      v: "self_attn.v_proj",
      o: "self_attn.o_proj",
      gate: "mlp.gate_proj",
      up: "mlp.up_proj",
      down: "mlp.down_proj",
    },
  },
};

const { gate: _gate, ...ungated } = llama.names.linears;

/** LLaMA's Linears of a block whose MLP has no gate. */
export const ungatedLinears: Family["names"]["linears"] = ungated;

/** LLaMA's names with a norm over the heads of queries and keys. */
export const namesWithHeadNorms: Family["names"] = {
  ...llama.names,
  norms: { ...llama.names.norms, qNorm: "self_attn.q_norm", kNorm: "self_attn.k_norm" },
};
