import type { Family } from "../family.js";
import { llama, ungatedLinears } from "../llama.js";

/** Nemotron and Minitron: LayerNorms with gains stored less one, a plain MLP with a squared ReLU, a half of each head turned. */
export const nemotron: Family = {
  ...llama,
  modelType: "nemotron",
  defaults: { activation: "relu2", maxPositions: 4096, kvHeads: null, headDim: null },
  norm: { kind: "layer", eps: { key: "norm_eps", default: 1e-5 }, gain: "1+w" },
  rotary: { partial: { key: "partial_rotary_factor", default: 0.5 } },
  mlp: { kind: "plain", bias: { key: "mlp_bias", default: false } },
  names: {
    ...llama.names,
    linears: ungatedLinears,
  },
};
