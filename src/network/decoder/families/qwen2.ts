import type { BlockKindKeys, Family, SlidingWindowKeys } from "./family.js";
import { llama } from "./llama.js";

/** The window of Qwen2 and Qwen3: off unless it is switched on. */
export const qwenWindow: SlidingWindowKeys = {
  key: "sliding_window",
  default: 4096,
  enabledBy: "use_sliding_window",
};

/** The later blocks have it. */
export const qwenKinds: BlockKindKeys = {
  types: "layer_types",
  known: ["full_attention", "sliding_attention"],
  absent: { from: { key: "max_window_layers", default: 28 }, kind: "sliding_attention" },
};

/** Qwen2 and Qwen2.5: LLaMA with biases on queries, keys and values. */
export const qwen2: Family = {
  ...llama,
  modelType: "qwen2",
  defaults: { activation: "silu", maxPositions: 32768, kvHeads: 32, headDim: null },
  kinds: qwenKinds,
  attention: { qkvBias: true, outBias: false, qkNorm: false, slidingWindow: qwenWindow },
  mlp: { kind: "gated", bias: false },
};
