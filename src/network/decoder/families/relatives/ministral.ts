import type { Family } from "../family.js";
import { mistral } from "../mistral.js";

/** Ministral: Mistral whose blocks may differ in their window. */
export const ministral: Family = {
  ...mistral,
  modelType: "ministral",
  kinds: {
    types: "layer_types",
    known: ["full_attention", "sliding_attention"],
    absent: { from: 0, kind: "sliding_attention" },
  },
};

/** Ministral 3: Mistral without a window, whose queries grow with their position beyond the context of the pre-training. */
export const ministral3: Family = {
  ...mistral,
  modelType: "ministral3",
  defaults: { activation: "silu", maxPositions: 262144, kvHeads: 8, headDim: 128 },
  sizes: {
    vocab_size: 131072,
    hidden_size: 4096,
    intermediate_size: 14336,
    num_hidden_layers: 34,
    num_attention_heads: 32,
  },
  norm: { kind: "rms", eps: { key: "rms_norm_eps", default: 1e-5 } },
  rotary: {
    absent: {
      ...{ rope_type: "yarn", rope_theta: 1e6, factor: 16, original_max_position_embeddings: 16384 },
      ...{ beta_fast: 32, beta_slow: 1, mscale: 1, mscale_all_dim: 1, llama_4_scaling_beta: 0.1 },
    },
  },
  attention: {
    ...mistral.attention,
    slidingWindow: { key: "sliding_window", default: null },
    temperature: { rotary: true, floor: "original_max_position_embeddings", scale: "llama_4_scaling_beta" },
  },
};
