import type { Family } from "../family.js";
import { llama } from "../llama.js";
import { mixtralExperts, mixtralNames } from "./mixtral.js";

/** Phi-3.5-MoE: LayerNorms, biases of attention and head, two experts of each token chosen one after the other (SparseMixer). */
export const phimoe: Family = {
  ...llama,
  modelType: "phimoe",
  defaults: { activation: "silu", maxPositions: 131072, kvHeads: 8, headDim: null },
  norm: { kind: "layer", eps: { key: "rms_norm_eps", default: 1e-5 } },
  rotary: { theta: 1e6, longRopeAmplitudes: { short: "short_mscale", long: "long_mscale" } },
  attention: { ...llama.attention, slidingWindow: { key: "sliding_window", default: null } },
  mlp: { kind: "gated", bias: false },
  experts: {
    blocks: "all",
    count: ["num_local_experts", "num_experts"],
    perToken: { key: "num_experts_per_tok", default: 2 },
    width: { key: "intermediate_size", default: 6400 },
    // Noise of the training, by which the network is defined too.
    router: {
      scores: "sparse-mixer",
      normalised: false,
      tolerance: { key: "router_jitter_noise", default: 0.01 },
    },
    stored: [mixtralExperts],
    each: mixtralExperts,
  },
  headBias: { key: "lm_head_bias", default: false },
  names: { ...llama.names, linears: { ...llama.names.linears, ...mixtralNames } },
  requires: { num_experts_per_tok: 2 },
};
