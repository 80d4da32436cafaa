import type { Family } from "../family.js";
import { namesWithHeadNorms } from "../llama.js";
import { exaone4 } from "../relatives/exaone4.js";
import { deepseekV3 } from "./deepseek.js";
import type { ExpertsKeys } from "./experts-keys.js";
import { correctedSigmoid, sharedExpertNames, sharedExperts } from "./glm4-moe.js";
import { expertNames } from "./qwen3-moe.js";

/** K-EXAONE: EXAONE 4 with norms before attention and MLP, and DeepSeek-V3's experts behind dense blocks. */
export const exaoneMoe: Family = {
  ...exaone4,
  modelType: "exaone_moe",
  experts: {
    ...(deepseekV3.experts as ExpertsKeys),
    blocks: { types: "mlp_layer_types", from: { key: "first_k_dense_replace", default: 1 } },
    count: ["num_experts"],
    width: { key: "moe_intermediate_size", default: 1024 },
    router: { ...correctedSigmoid, scaling: { key: "routed_scaling_factor", default: 2.5 } },
    shared: sharedExperts(1024, { key: "num_shared_experts", default: 1 }),
  },
  names: {
    ...namesWithHeadNorms,
    linears: { ...namesWithHeadNorms.linears, ...expertNames, ...sharedExpertNames },
    tensors: { routerCorrection: "mlp.e_score_correction_bias" },
  },
};
