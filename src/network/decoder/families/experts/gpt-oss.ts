import type { Family } from "../family.js";
import { llama } from "../llama.js";
import { eachExpert, expertNames } from "./qwen3-moe.js";

/** gpt-oss: experts with biases and a clamped product in every block, attention with biases and sinks, every other block with a window. */
export const gptOss: Family = {
  ...llama,
  modelType: "gpt_oss",
  defaults: { activation: "silu", maxPositions: 131072, kvHeads: 8, headDim: 64 },
  norm: { kind: "rms", eps: { key: "rms_norm_eps", default: 1e-5 } },
  rotary: {
    theta: 150000,
    absent: {
      rope_type: "yarn",
      factor: 32,
      beta_fast: 32,
      beta_slow: 1,
      truncate: false,
      original_max_position_embeddings: 4096,
    },
  },
  kinds: {
    types: "layer_types",
    known: ["full_attention", "sliding_attention"],
    absent: { allBut: 2, kind: "sliding_attention" },
  },
  attention: {
    qkvBias: { key: "attention_bias", default: true },
    outBias: { key: "attention_bias", default: true },
    qkNorm: false,
    sinks: true,
    slidingWindow: { key: "sliding_window", default: 128 },
  },
  mlp: { kind: "gated", bias: false },
  experts: {
    blocks: "all",
    count: ["num_local_experts"],
    perToken: { key: "num_experts_per_tok", default: 4 },
    width: { key: "intermediate_size", default: 2880 },
    clamped: { limit: { key: "swiglu_limit", default: 7 }, alpha: { key: "swiglu_alpha", default: 1.702 } },
    bias: true,
    router: { scores: "chosen-softmax", bias: true, normalised: false },
    stored: [
      {
        kind: "stacked",
        gateUp: "mlp.experts.gate_up_proj",
        down: "mlp.experts.down_proj",
        biases: { gateUp: "mlp.experts.gate_up_proj_bias", down: "mlp.experts.down_proj_bias" },
        transposed: true,
        rows: "pairs",
      },
    ],
    each: eachExpert,
  },
  names: {
    ...llama.names,
    linears: { ...llama.names.linears, ...expertNames, router: "mlp.router" },
    tensors: { sinks: "self_attn.sinks" },
  },
};
