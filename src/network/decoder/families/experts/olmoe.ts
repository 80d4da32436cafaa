import type { Family } from "../family.js";
import { llama, namesWithHeadNorms } from "../llama.js";
import { olmo2 } from "../relatives/olmo2.js";
import { eachExpert, expertNames, stackedExperts } from "./qwen3-moe.js";

/** OLMoE: experts in every block, norms over all heads of queries and keys. */
export const olmoe: Family = {
  ...llama,
  modelType: "olmoe",
  defaults: { activation: "silu", maxPositions: 4096, kvHeads: null, headDim: null },
  norm: olmo2.norm,
  attention: olmo2.attention,
  mlp: { kind: "gated", bias: false },
  experts: {
    blocks: "all",
    count: ["num_experts", "num_local_experts"],
    perToken: { key: "num_experts_per_tok", default: 8 },
    width: { key: "intermediate_size", default: 2048 },
    router: { scores: "softmax", normalised: { key: "norm_topk_prob", default: false } },
    stored: [eachExpert, stackedExperts],
    each: eachExpert,
  },
  names: { ...namesWithHeadNorms, linears: { ...namesWithHeadNorms.linears, ...expertNames } },
  requires: { clip_qkv: { oneOf: [] } },
};

/** FlexOlmo: OLMoE with norms behind attention and experts, as OLMo 2 has them. */
export const flexOlmo: Family = {
  ...olmoe,
  modelType: "flex_olmo",
  norm: { kind: "rms", eps: { key: "rms_norm_eps", default: 1e-6 } },
  rotary: { theta: 5e5 },
  experts: {
    ...(olmoe.experts as NonNullable<Family["experts"]>),
    perToken: { key: "num_experts_per_tok", default: 5 },
  },
  names: { ...olmo2.names, linears: { ...olmo2.names.linears, ...expertNames } },
  requires: {},
};
