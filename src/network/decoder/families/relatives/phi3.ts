import type { Family } from "../family.js";
import { llama } from "../llama.js";

/** Phi-3 and Phi-4: LLaMA whose queries, keys and values are stored as one tensor, gate and up as another. */
export const phi3: Family = {
  ...llama,
  modelType: "phi3",
  defaults: { activation: "silu", maxPositions: 4096, kvHeads: null, headDim: null },
  norm: { kind: "rms", eps: { key: "rms_norm_eps", default: 1e-5 } },
  rotary: { partial: { key: "partial_rotary_factor", default: 1 }, originalContext: 4096, yarnIsLongRope: true },
  attention: {
    qkvBias: false,
    outBias: false,
    qkNorm: false,
    slidingWindow: { key: "sliding_window", default: null },
  },
  mlp: { kind: "gated", bias: false },
  stored: {
    fused: [
      { module: "self_attn.qkv_proj", parts: ["q", "k", "v"], order: "stacked" },
      { module: "mlp.gate_up_proj", parts: ["gate", "up"], order: "stacked" },
    ],
  },
};
