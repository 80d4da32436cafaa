import type { Family } from "../family.js";
import { gemma2, sandwichNames } from "./gemma2.js";

// Its configuration knows a cap of the scores, and its attention does not.
const { softcap: _, ...gemma2Attention } = gemma2.attention;
const attention: Family["attention"] = { ...gemma2Attention, qkNorm: "head" };

/** Gemma 3, its text tower: Gemma 2 without caps, with norms of queries and keys, and other positions where there is a window. */
export const gemma3Text: Family = {
  ...gemma2,
  modelType: "gemma3_text",
  defaults: { activation: "gelu_pytorch_tanh", maxPositions: 131072, kvHeads: 4, headDim: 256 },
  sizes: {
    vocab_size: 262208,
    hidden_size: 2304,
    intermediate_size: 9216,
    num_hidden_layers: 26,
    num_attention_heads: 8,
  },
  rotary: {
    kinds: {
      full_attention: { thetaKey: "rope_theta", theta: 1e6, scaled: true },
      sliding_attention: { thetaKey: "rope_local_base_freq", theta: 1e4, scaled: false },
    },
  },
  kinds: {
    types: "layer_types",
    known: ["full_attention", "sliding_attention"],
    absent: { allBut: { key: "sliding_window_pattern", default: 6 }, kind: "sliding_attention" },
  },
  attention,
  softcap: { key: "final_logit_softcapping", default: null },
  names: { ...sandwichNames, norms: { ...sandwichNames.norms, qNorm: "self_attn.q_norm", kNorm: "self_attn.k_norm" } },
};
