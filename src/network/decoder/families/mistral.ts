import type { Family } from "./family.js";
import { llama } from "./llama.js";

/** Mistral: LLaMA with a sliding window, without biases. */
export const mistral: Family = {
  ...llama,
  modelType: "mistral",
  defaults: { activation: "silu", maxPositions: 131072, kvHeads: 8, headDim: null },
  sizes: {
    vocab_size: 32000,
    hidden_size: 4096,
    intermediate_size: 14336,
    num_hidden_layers: 32,
    num_attention_heads: 32,
  },
  attention: {
    qkvBias: false,
    outBias: false,
    qkNorm: false,
    slidingWindow: { key: "sliding_window", default: 4096 },
  },
  mlp: { kind: "gated", bias: false },
};
