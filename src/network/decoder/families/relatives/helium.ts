import type { Family } from "../family.js";
import { llama } from "../llama.js";

/** Helium: LLaMA whose neighbouring channels turn together. */
export const helium: Family = {
  ...llama,
  modelType: "helium",
  defaults: { activation: "silu", maxPositions: 4096, kvHeads: 20, headDim: 128 },
  norm: { kind: "rms", eps: { key: "rms_norm_eps", default: 1e-8 } },
  rotary: { pairs: "neighbours", theta: 1e5 },
  attention: { ...llama.attention, outBias: false },
};
