import type { Family } from "../family.js";
import { llama } from "../llama.js";

/** OLMo 2: norms behind attention and MLP alone, and of queries and keys over all heads together. */
export const olmo2: Family = {
  ...llama,
  modelType: "olmo2",
  norm: { kind: "rms", eps: { key: "rms_norm_eps", default: 1e-5 } },
  attention: { ...llama.attention, qkNorm: "heads" },
  mlp: { kind: "gated", bias: false },
  names: {
    ...llama.names,
    norms: {
      attentionPostNorm: "post_attention_layernorm",
      mlpPostNorm: "post_feedforward_layernorm",
      qNorm: "self_attn.q_norm",
      kNorm: "self_attn.k_norm",
    },
  },
};

/** OLMo 3: OLMo 2 with a window in three of four blocks, whose positions are not stretched. */
export const olmo3: Family = {
  ...olmo2,
  modelType: "olmo3",
  rotary: {
    kinds: {
      full_attention: { thetaKey: "rope_theta", theta: 5e5, scaled: true },
      // transformers takes an older base for the others alone.
      sliding_attention: { theta: 5e5, scaled: false },
    },
  },
  kinds: {
    types: "layer_types",
    known: ["full_attention", "sliding_attention"],
    absent: { allBut: 4, kind: "sliding_attention" },
  },
  attention: { ...olmo2.attention, slidingWindow: { key: "sliding_window", default: 4096 } },
};
