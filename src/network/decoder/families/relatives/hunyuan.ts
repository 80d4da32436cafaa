import type { Family } from "../family.js";
import { llama } from "../llama.js";

/** LLaMA's names with Hunyuan's of the norms over the heads of queries and keys. */
export const hunyuanNames: Family["names"] = {
  ...llama.names,
  norms: { ...llama.names.norms, qNorm: "self_attn.query_layernorm", kNorm: "self_attn.key_layernorm" },
};

/** Hunyuan, dense: LLaMA with norms over each head of queries and keys behind their positions, whose base may be stretched. */
export const hunyuanDense: Family = {
  ...llama,
  modelType: "hunyuan_v1_dense",
  norm: { kind: "rms", eps: { key: "rms_norm_eps", default: 1e-5 } },
  rotary: { stretchedBase: "alpha" },
  attention: { ...llama.attention, qkNorm: "head", normsBehindPositions: true },
  mlp: { kind: "gated", bias: false },
  names: hunyuanNames,
};
