import type { Family, SlidingWindowKeys } from "./family.js";
import { llama } from "./llama.js";

/** The window of Qwen2 and Qwen3: off unless it is switched on, and then in the later blocks. */
export const qwenWindow: SlidingWindowKeys = {
  key: "sliding_window",
  default: 4096,
  perBlock: {
    enabledBy: "use_sliding_window",
    first: { key: "max_window_layers", default: 28 },
    types: "layer_types",
  },
};

/** Qwen2 and Qwen2.5: LLaMA with biases on queries, keys and values. */
export const qwen2: Family = {
  ...llama,
  modelType: "qwen2",
  defaults: { activation: "silu", maxPositions: 32768, kvHeads: 32, headDim: null },
  attention: { qkvBias: true, outBias: false, qkNorm: false, slidingWindow: qwenWindow },
  mlp: { kind: "gated", bias: false },
};
