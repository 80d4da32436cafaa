import type { Family } from "../family.js";
import { llama } from "../llama.js";

/** GLM-4 (0414): four norms a block, a half of each head turned in neighbouring pairs, gate and up stored as one tensor. */
export const glm4: Family = {
  ...llama,
  modelType: "glm4",
  defaults: { activation: "silu", maxPositions: 131072, kvHeads: 2, headDim: 128 },
  norm: { kind: "rms", eps: { key: "rms_norm_eps", default: 1.5625e-7 } },
  rotary: { pairs: "neighbours", partial: { key: "partial_rotary_factor", default: 0.5 } },
  attention: { ...llama.attention, qkvBias: { key: "attention_bias", default: true }, outBias: false },
  mlp: { kind: "gated", bias: false },
  names: {
    ...llama.names,
    norms: {
      attentionNorm: "input_layernorm",
      attentionPostNorm: "post_self_attn_layernorm",
      mlpNorm: "post_attention_layernorm",
      mlpPostNorm: "post_mlp_layernorm",
    },
  },
  stored: { fused: [{ module: "mlp.gate_up_proj", parts: ["gate", "up"], order: "stacked" }] },
};

/** GLM-4 9B and GLM-Edge: GLM-4 without norms behind attention and MLP. */
export const glm: Family = { ...glm4, modelType: "glm", names: llama.names };
