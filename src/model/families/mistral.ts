import type { Family } from "./family.js";
import { llama } from "./llama.js";

/** Mistral: LLaMA with a sliding window, without biases. */
export const mistral: Family = {
  ...llama,
  modelType: "mistral",
  attention: { qkvBias: false, outBias: false, qkNorm: false, slidingWindow: { key: "sliding_window" } },
  mlp: { kind: "gated", bias: false },
};
