import type { Family } from "../family.js";
import { llama } from "../llama.js";

/** Granite 3: LLaMA with factors of the embedding, of what blocks add, of the scores, and a divisor of the logits. */
export const granite: Family = {
  ...llama,
  modelType: "granite",
  attention: { ...llama.attention, scale: { fact: { key: "attention_multiplier", default: 1 } } },
  multipliers: {
    embedding: { key: "embedding_multiplier", default: 1 },
    residual: { key: "residual_multiplier", default: 1 },
    logitsDivisor: { key: "logits_scaling", default: 1 },
  },
};
