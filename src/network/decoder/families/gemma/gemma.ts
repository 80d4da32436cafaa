import type { Family } from "../family.js";
import { llama } from "../llama.js";
import { gemma2 } from "./gemma2.js";

/** Gemma 1: LLaMA with gains stored less one and an embedding that is multiplied by the root of its width. */
export const gemma: Family = {
  ...llama,
  modelType: "gemma",
  // It says `gelu` and means the tanh approximation.
  activationNames: { gelu: "gelu_pytorch_tanh" },
  defaults: { activation: "gelu_pytorch_tanh", maxPositions: 8192, kvHeads: 16, headDim: 256 },
  norm: { kind: "rms", eps: { key: "rms_norm_eps", default: 1e-6 }, gain: "1+w" },
  mlp: { kind: "gated", bias: false },
  multipliers: { embedding: "rootOfHiddenSize" },
  tied: { key: "tie_word_embeddings", default: true },
  ...(gemma2.requires !== undefined && { requires: gemma2.requires }),
};
