import type { Family } from "../family.js";
import { llama } from "../llama.js";

const bias = { key: "use_bias", default: false } as const;

/** ERNIE 4.5: LLaMA whose neighbouring channels turn together, with one switch for all biases. */
export const ernie45: Family = {
  ...llama,
  modelType: "ernie4_5",
  defaults: { activation: "silu", maxPositions: 131072, kvHeads: 2, headDim: 128 },
  norm: { kind: "rms", eps: { key: "rms_norm_eps", default: 1e-5 } },
  rotary: { pairs: "neighbours", theta: 5e5 },
  attention: { ...llama.attention, qkvBias: bias, outBias: bias },
  mlp: { kind: "gated", bias },
  tied: { key: "tie_word_embeddings", default: true },
};
