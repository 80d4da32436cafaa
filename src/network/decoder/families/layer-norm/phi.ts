import type { Family } from "../family.js";
import { llama } from "../llama.js";

/** Phi-1, 1.5 and 2: one LayerNorm for attention and a plain MLP side by side, biases everywhere, a half of each head turned. */
export const phi: Family = {
  ...llama,
  modelType: "phi",
  defaults: { activation: "gelu_new", maxPositions: 2048, kvHeads: null, headDim: null },
  norm: { kind: "layer", eps: { key: "layer_norm_eps", default: 1e-5 } },
  arrangement: "parallel",
  rotary: { partial: { key: "partial_rotary_factor", default: 0.5 } },
  attention: { qkvBias: true, outBias: true, qkNorm: false, slidingWindow: null },
  mlp: { kind: "plain", bias: true },
  headBias: true,
  names: {
    ...llama.names,
    finalNorm: "model.final_layernorm",
    norms: { attentionNorm: "input_layernorm" },
    linears: {
      q: "self_attn.q_proj",
      k: "self_attn.k_proj",
      v: "self_attn.v_proj",
      o: "self_attn.dense",
      up: "mlp.fc1",
      down: "mlp.fc2",
    },
  },
  requires: { qk_layernorm: false },
};
