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
