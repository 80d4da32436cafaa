import type { Family } from "./family.js";
import { llama } from "./llama.js";

/** Qwen3: LLaMA with a norm over each head of the queries and keys. */
export const qwen3: Family = {
  ...llama,
  modelType: "qwen3",
  attention: {
    qkvBias: { key: "attention_bias", default: false },
    outBias: { key: "attention_bias", default: false },
    qkNorm: true,
    slidingWindow: null,
  },
  mlp: { kind: "gated", bias: false },
  requires: { use_sliding_window: false },
};
