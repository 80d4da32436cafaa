import type { Family } from "../family.js";
import { llama } from "../llama.js";

/** Cohere's Command R7B and A: one LayerNorm without shifts for attention and MLP side by side; full blocks have no positions. */
export const cohere2: Family = {
  ...llama,
  modelType: "cohere2",
  defaults: { activation: "silu", maxPositions: 8192, kvHeads: null, headDim: null },
  norm: { kind: "layer", eps: { key: "layer_norm_eps", default: 1e-5 }, bias: false },
  arrangement: "parallel",
  rotary: { pairs: "neighbours", where: { kind: "sliding", unlessNone: false } },
  kinds: {
    types: "layer_types",
    known: ["full_attention", "sliding_attention"],
    absent: { allBut: { key: "sliding_window_pattern", default: 4 }, kind: "sliding_attention" },
  },
  attention: { ...llama.attention, slidingWindow: { key: "sliding_window", default: 4096 } },
  mlp: { kind: "gated", bias: false },
  multipliers: { logits: { key: "logit_scale", default: 0.0625 } },
  tied: { key: "tie_word_embeddings", default: true },
  names: { ...llama.names, norms: { attentionNorm: "input_layernorm" } },
};

const { kinds: _, ...withoutKinds } = cohere2;

/** Cohere's Command R and R+: Command A without a window, all blocks with positions. */
export const cohere: Family = {
  ...withoutKinds,
  modelType: "cohere",
  rotary: { pairs: "neighbours", theta: 5e5 },
  attention: llama.attention,
  requires: { use_qk_norm: false },
};
