import type { Family } from "../family.js";
import { llama, ungatedLinears } from "../llama.js";

/** Apertus: norms over each head of queries and keys, a plain MLP whose activation is learnt (xIELU). */
export const apertus: Family = {
  ...llama,
  modelType: "apertus",
  defaults: { activation: "xielu", maxPositions: 65536, kvHeads: null, headDim: null },
  norm: { kind: "rms", eps: { key: "rms_norm_eps", default: 1e-5 } },
  rotary: {
    theta: 1.2e7,
    absent: {
      rope_type: "llama3",
      rope_theta: 1.2e7,
      factor: 8,
      original_max_position_embeddings: 8192,
      low_freq_factor: 1,
      high_freq_factor: 4,
    },
  },
  attention: { ...llama.attention, qkNorm: "head" },
  mlp: { kind: "plain", bias: false },
  names: {
    ...llama.names,
    norms: {
      attentionNorm: "attention_layernorm",
      mlpNorm: "feedforward_layernorm",
      qNorm: "self_attn.q_norm",
      kNorm: "self_attn.k_norm",
    },
    linears: ungatedLinears,
    tensors: {
      xieluPositive: "mlp.act_fn.alpha_p",
      xieluNegative: "mlp.act_fn.alpha_n",
      xieluBeta: "mlp.act_fn.beta",
      xieluEps: "mlp.act_fn.eps",
    },
  },
};
