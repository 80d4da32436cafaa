import type { Family } from "../family.js";
import { llama } from "../llama.js";

/** Seed-OSS: LLaMA with biases on queries, keys and values, and switches for the others. */
export const seedOss: Family = {
  ...llama,
  modelType: "seed_oss",
  defaults: { activation: "silu", maxPositions: 524288, kvHeads: 8, headDim: 128 },
  attention: {
    ...llama.attention,
    qkvBias: { key: "attention_bias", default: true },
    outBias: { key: "attention_out_bias", default: false },
  },
};
