import type { Family } from "../family.js";
import { llama } from "../llama.js";

/** StarCoder 2: LayerNorms, a plain MLP, biases everywhere, a window. */
export const starcoder2: Family = {
  ...llama,
  modelType: "starcoder2",
  defaults: { activation: "gelu_pytorch_tanh", maxPositions: 4096, kvHeads: 2, headDim: null },
  norm: { kind: "layer", eps: { key: "norm_epsilon", default: 1e-5 } },
  attention: {
    qkvBias: { key: "use_bias", default: true },
    outBias: { key: "use_bias", default: true },
    qkNorm: false,
    slidingWindow: { key: "sliding_window", default: null },
  },
  mlp: { kind: "plain", bias: { key: "use_bias", default: true } },
  tied: { key: "tie_word_embeddings", default: true },
  names: {
    ...llama.names,
    linears: {
      q: "self_attn.q_proj",
      k: "self_attn.k_proj",
      v: "self_attn.v_proj",
      o: "self_attn.o_proj",
      up: "mlp.c_fc",
      down: "mlp.c_proj",
    },
  },
};
