import type { Family } from "./family.js";
import { llama, namesWithHeadNorms } from "./llama.js";
import { qwenKinds, qwenWindow } from "./qwen2.js";

/** Qwen3: LLaMA with a norm over each head of the queries and keys. */
export const qwen3: Family = {
  ...llama,
  modelType: "qwen3",
  defaults: { activation: "silu", maxPositions: 32768, kvHeads: 32, headDim: 128 },
  kinds: qwenKinds,
  attention: {
    qkvBias: { key: "attention_bias", default: false },
    outBias: { key: "attention_bias", default: false },
    qkNorm: "head",
    slidingWindow: qwenWindow,
  },
  mlp: { kind: "gated", bias: false },
  names: namesWithHeadNorms,
};
