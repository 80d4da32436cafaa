import type { Family } from "../family.js";
import { llama } from "../llama.js";

/** Norms before and behind attention and MLP, as Gemma 2 and 3 name them. */
export const sandwichNames: Family["names"] = {
  ...llama.names,
  norms: {
    attentionNorm: "input_layernorm",
    attentionPostNorm: "post_attention_layernorm",
    mlpNorm: "pre_feedforward_layernorm",
    mlpPostNorm: "post_feedforward_layernorm",
  },
};

/** Gemma 2: gains stored less one, four norms a block, caps of scores and logits, a window in every other block. */
export const gemma2: Family = {
  ...llama,
  modelType: "gemma2",
  keys: { ...llama.keys, activation: "hidden_activation" },
  defaults: { activation: "gelu_pytorch_tanh", maxPositions: 8192, kvHeads: 4, headDim: 256 },
  norm: { kind: "rms", eps: { key: "rms_norm_eps", default: 1e-6 }, gain: "1+w" },
  kinds: {
    types: "layer_types",
    known: ["full_attention", "sliding_attention"],
    absent: { allBut: 2, kind: "sliding_attention" },
  },
  attention: {
    qkvBias: { key: "attention_bias", default: false },
    outBias: { key: "attention_bias", default: false },
    qkNorm: false,
    slidingWindow: { key: "sliding_window", default: 4096 },
    scale: { fact: { key: "query_pre_attn_scalar", default: 256 }, inverseRoot: true },
    softcap: { key: "attn_logit_softcapping", default: 50 },
  },
  mlp: { kind: "gated", bias: false },
  multipliers: { embedding: "rootOfHiddenSize" },
  softcap: { key: "final_logit_softcapping", default: 30 },
  tied: { key: "tie_word_embeddings", default: true },
  names: sandwichNames,
  requires: { use_bidirectional_attention: false },
};

/** VaultGemma: Gemma 2 with the norms before attention and MLP alone. */
export const vaultGemma: Family = {
  ...gemma2,
  modelType: "vaultgemma",
  names: {
    ...llama.names,
    norms: { attentionNorm: "input_layernorm", mlpNorm: "pre_feedforward_layernorm" },
  },
};
