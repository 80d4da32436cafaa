import type { Family } from "../family.js";
import { qwen3 } from "../qwen3.js";
import { deepseekV3 } from "./deepseek.js";
import type { ExpertsKeys } from "./experts-keys.js";
import { correctedSigmoid, sharedExpertNames, sharedExperts } from "./glm4-moe.js";
import { expertNames } from "./qwen3-moe.js";

/** dots.llm1: Qwen3's attention, DeepSeek-V3's experts behind dense blocks. */
export const dots1: Family = {
  ...qwen3,
  modelType: "dots1",
  defaults: { activation: "silu", maxPositions: 2048, kvHeads: 32, headDim: null },
  kinds: {
    types: "layer_types",
    known: ["full_attention", "sliding_attention"],
    absent: { from: { key: "max_window_layers", default: 62 }, kind: "sliding_attention" },
  },
  attention: { ...qwen3.attention, slidingWindow: { key: "sliding_window", default: 4096 } },
  experts: {
    ...(deepseekV3.experts as ExpertsKeys),
    blocks: { from: { key: "first_k_dense_replace", default: 0 } },
    perToken: { key: "num_experts_per_tok", default: 6 },
    width: { key: "moe_intermediate_size", default: 1408 },
    router: { ...correctedSigmoid, normalised: { key: "norm_topk_prob", default: false } },
    shared: sharedExperts(1408),
  },
  names: {
    ...qwen3.names,
    linears: { ...qwen3.names.linears, ...expertNames, ...sharedExpertNames },
    tensors: { routerCorrection: "mlp.gate.e_score_correction_bias" },
  },
};
