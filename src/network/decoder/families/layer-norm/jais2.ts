import type { Family } from "../family.js";
import { llama } from "../llama.js";
import { nemotron } from "./nemotron.js";

/** Jais 2: LayerNorms, a plain MLP with a squared ReLU, biases everywhere. */
export const jais2: Family = {
  ...llama,
  modelType: "jais2",
  defaults: { activation: "relu2", maxPositions: 8192, kvHeads: null, headDim: null },
  norm: { kind: "layer", eps: { key: "layer_norm_eps", default: 1e-5 } },
  attention: {
    qkvBias: { key: "attention_bias", default: true },
    outBias: { key: "attention_bias", default: true },
    qkNorm: false,
    slidingWindow: null,
  },
  mlp: { kind: "plain", bias: { key: "mlp_bias", default: true } },
  names: { ...llama.names, linears: nemotron.names.linears },
};
