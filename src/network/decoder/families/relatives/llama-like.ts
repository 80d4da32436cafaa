import type { Family } from "../family.js";
import { llama } from "../llama.js";

const eps: Family["norm"] = { kind: "rms", eps: { key: "rms_norm_eps", default: 1e-5 } };

/** InternLM3: LLaMA by other keys. */
export const internlm3: Family = {
  ...llama,
  modelType: "internlm3",
  defaults: { activation: "silu", maxPositions: 32768, kvHeads: 2, headDim: 128 },
  norm: eps,
  olderKeys: { qkv_bias: "attention_bias", bias: "mlp_bias" },
};

/** IQuest-Coder: LLaMA. */
export const iquestCoder: Family = {
  ...llama,
  modelType: "iquestcoder",
  defaults: { activation: "silu", maxPositions: 131072, kvHeads: 8, headDim: 128 },
  norm: eps,
  requires: { clip_qkv: { oneOf: [] }, use_sliding_window: false },
};

/** EXAONE 3 and 3.5: LLaMA by the names of GPT-2. */
export const exaone: Family = {
  ...llama,
  modelType: "exaone",
  defaults: { activation: "silu", maxPositions: 4096, kvHeads: 8, headDim: null },
  norm: eps,
  rotary: { theta: 5e5 },
  names: {
    embedding: "transformer.wte",
    finalNorm: "transformer.ln_f",
    head: "lm_head",
    block: "transformer.h.{block}",
    norms: { attentionNorm: "ln_1", mlpNorm: "ln_2" },
    linears: {
      q: "attn.attention.q_proj",
      k: "attn.attention.k_proj",
      v: "attn.attention.v_proj",
      o: "attn.attention.out_proj",
      gate: "mlp.c_fc_0",
      up: "mlp.c_fc_1",
      down: "mlp.c_proj",
    },
  },
  olderKeys: {
    num_layers: "num_hidden_layers",
    layer_norm_epsilon: "rms_norm_eps",
    activation_function: "hidden_act",
  },
};

/** Code World Model: LLaMA with a window in three of four blocks, the first of which sees everything. */
export const cwm: Family = {
  ...llama,
  modelType: "cwm",
  defaults: { activation: "silu", maxPositions: 131072, kvHeads: 8, headDim: 128 },
  norm: eps,
  rotary: {
    theta: 1e6,
    absent: {
      rope_type: "llama3",
      rope_theta: 1e6,
      factor: 16,
      original_max_position_embeddings: 8192,
      low_freq_factor: 1,
      high_freq_factor: 4,
    },
  },
  kinds: {
    types: "layer_types",
    known: ["full_attention", "sliding_attention"],
    absent: { fullFirstOf: 4, kind: "sliding_attention" },
  },
  attention: {
    qkvBias: false,
    outBias: false,
    qkNorm: false,
    slidingWindow: { key: "sliding_window", default: 8192 },
  },
};
