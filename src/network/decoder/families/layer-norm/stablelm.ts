import type { Family } from "../family.js";
import { llama } from "../llama.js";

/** StableLM 2 and 3B: LLaMA with LayerNorms, a quarter of each head turned. */
export const stablelm: Family = {
  ...llama,
  modelType: "stablelm",
  defaults: { activation: "silu", maxPositions: 4096, kvHeads: 32, headDim: null },
  norm: { kind: "layer", eps: { key: "layer_norm_eps", default: 1e-5 } },
  rotary: { partial: { key: "partial_rotary_factor", default: 0.25 } },
  attention: {
    qkvBias: { key: "use_qkv_bias", default: false },
    outBias: false,
    qkNorm: false,
    slidingWindow: null,
  },
  mlp: { kind: "gated", bias: false },
  requires: { qk_layernorm: false, use_parallel_residual: false },
};
