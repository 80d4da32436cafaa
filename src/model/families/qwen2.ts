import type { Family } from "./family.js";
import { llama } from "./llama.js";

/** Qwen2 and Qwen2.5: LLaMA with biases on queries, keys and values. */
export const qwen2: Family = {
  ...llama,
  modelType: "qwen2",
  attention: { qkvBias: true, outBias: false, qkNorm: false, slidingWindow: null },
  mlp: { kind: "gated", bias: false },
  requires: { use_sliding_window: false },
};
