import type { Family } from "../family.js";
import { nemotron } from "../layer-norm/nemotron.js";
import { llama } from "../llama.js";

/** Arcee's AFM: LLaMA with a plain MLP and a squared ReLU. */
export const arcee: Family = {
  ...llama,
  modelType: "arcee",
  defaults: { activation: "relu2", maxPositions: 4096, kvHeads: null, headDim: null },
  norm: { kind: "rms", eps: { key: "rms_norm_eps", default: 1e-5 } },
  mlp: nemotron.mlp,
  names: { ...llama.names, linears: nemotron.names.linears },
};
