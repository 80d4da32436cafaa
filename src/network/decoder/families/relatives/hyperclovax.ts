import type { Family } from "../family.js";
import { granite } from "./granite.js";

/** HyperCLOVA X: Granite with norms behind attention and MLP too, and logits that are multiplied. */
export const hyperclovax: Family = {
  ...granite,
  modelType: "hyperclovax",
  attention: { ...granite.attention, scale: { fact: { key: "attention_multiplier", default: 0 }, absentIsRoot: true } },
  multipliers: {
    embedding: { key: "embedding_multiplier", default: 1 },
    residual: { key: "residual_multiplier", default: 1 },
    logits: { key: "logits_scaling", default: 1 },
  },
  names: {
    ...granite.names,
    norms: { ...granite.names.norms, attentionPostNorm: "post_norm1", mlpPostNorm: "post_norm2" },
  },
  requires: { use_post_norm: true },
};
