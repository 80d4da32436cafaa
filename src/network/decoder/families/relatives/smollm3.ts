import type { Family } from "../family.js";
import { llama } from "../llama.js";

/** SmolLM3: LLaMA whose every fourth block has no positions. */
export const smollm3: Family = {
  ...llama,
  modelType: "smollm3",
  defaults: { activation: "silu", maxPositions: 32768, kvHeads: 4, headDim: null },
  rotary: {
    theta: 2e6,
    where: { kind: "listed", list: "no_rope_layers", allBut: { key: "no_rope_layer_interval", default: 4 } },
  },
  tied: { key: "tie_word_embeddings", default: true },
  // A window is none of the released models'.
  kinds: { types: "layer_types", known: ["full_attention"], absent: { from: 0, kind: "full_attention" } },
  requires: { use_sliding_window: false },
};
