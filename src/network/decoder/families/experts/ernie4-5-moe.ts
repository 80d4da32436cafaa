import type { Family } from "../family.js";
import { ernie45 } from "../relatives/ernie4-5.js";
import { sharedExpertNames, sharedExperts } from "./glm4-moe.js";
import { eachExpert, expertNames, stackedExperts } from "./qwen3-moe.js";

/** ERNIE 4.5 with experts in a range of blocks, chosen by a softmax with a correction. */
export const ernie45Moe: Family = {
  ...ernie45,
  modelType: "ernie4_5_moe",
  defaults: { activation: "silu", maxPositions: 131072, kvHeads: 4, headDim: null },
  experts: {
    blocks: {
      lastOf: { key: "moe_layer_interval", default: 1 },
      between: {
        first: { key: "moe_layer_start_index", default: 1 },
        last: { key: "moe_layer_end_index", default: -1 },
      },
    },
    count: ["moe_num_experts", "num_experts", "num_local_experts"],
    perToken: { key: "moe_k", default: 6 },
    width: { key: "moe_intermediate_size", default: 1536 },
    router: { scores: "softmax", correction: "row", normalised: true },
    shared: sharedExperts(1536, { key: "moe_num_shared_experts", default: 2 }),
    stored: [eachExpert, stackedExperts],
    each: eachExpert,
  },
  names: {
    ...ernie45.names,
    linears: { ...ernie45.names.linears, ...expertNames, ...sharedExpertNames },
    tensors: { routerCorrection: "mlp.moe_statics.e_score_correction_bias" },
  },
  // Experts have no biases there, and the head has one with the others.
  requires: { use_bias: false, moe_norm_min: 1e-12 },
};
