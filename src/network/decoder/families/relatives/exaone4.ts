import type { Family } from "../family.js";
import { olmo2 } from "./olmo2.js";

/** EXAONE 4: norms behind attention and MLP, and over each head of queries and keys; full blocks beside a window have no positions. */
export const exaone4: Family = {
  ...olmo2,
  modelType: "exaone4",
  defaults: { activation: "silu", maxPositions: 2048, kvHeads: 32, headDim: null },
  rotary: { where: { kind: "sliding", unlessNone: true } },
  kinds: {
    types: "layer_types",
    known: ["full_attention", "sliding_attention"],
    absent: { allBut: { key: "sliding_window_pattern", default: 4 }, kind: "sliding_attention" },
  },
  attention: {
    qkvBias: false,
    outBias: false,
    qkNorm: "head",
    slidingWindow: { key: "sliding_window", default: 4096 },
  },
};
