import type { Family } from "../family.js";
import { llama, namesWithHeadNorms } from "../llama.js";
import { mixtralExperts, mixtralNames } from "./mixtral.js";

/** MiniMax-M2: experts in every block, chosen by corrected sigmoids; norms over all heads of queries and keys. */
export const minimaxM2: Family = {
  ...llama,
  modelType: "minimax_m2",
  defaults: { activation: "silu", maxPositions: 196608, kvHeads: 8, headDim: 128 },
  rotary: { theta: 5e6, partial: { key: "partial_rotary_factor", default: 0.5 }, widthKey: "rotary_dim" },
  attention: { qkvBias: false, outBias: false, qkNorm: "heads", slidingWindow: null },
  mlp: { kind: "gated", bias: false },
  experts: {
    blocks: "all",
    count: ["num_local_experts"],
    perToken: { key: "num_experts_per_tok", default: 8 },
    width: { key: "intermediate_size", default: 1536 },
    router: { scores: "sigmoid", correction: true, normalised: true },
    stored: [mixtralExperts],
    each: mixtralExperts,
  },
  names: {
    ...namesWithHeadNorms,
    linears: { ...namesWithHeadNorms.linears, ...mixtralNames },
    tensors: { routerCorrection: "block_sparse_moe.e_score_correction_bias" },
  },
};
