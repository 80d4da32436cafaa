import { eachExpert, expertNames, gatedSharedExpertNames, qwen2Moe, stackedExperts } from "../experts/qwen3-moe.js";
import type { Family } from "../family.js";
import { llama, namesWithHeadNorms } from "../llama.js";

/** Qwen3.5 and 3.6, their text tower: gated delta nets in three of four blocks, an output gate in the others; gains stored less one. */
export const qwen35Text: Family = {
  ...llama,
  modelType: "qwen3_5_text",
  defaults: { activation: "silu", maxPositions: 32768, kvHeads: 4, headDim: 256 },
  sizes: {
    vocab_size: 248320,
    hidden_size: 4096,
    intermediate_size: 12288,
    num_hidden_layers: 32,
    num_attention_heads: 16,
  },
  norm: { kind: "rms", eps: { key: "rms_norm_eps", default: 1e-6 }, gain: "1+w" },
  rotary: { partial: { key: "partial_rotary_factor", default: 0.25 } },
  kinds: {
    types: "layer_types",
    known: ["full_attention", "linear_attention"],
    absent: { allBut: { key: "full_attention_interval", default: 4 }, kind: "linear_attention" },
  },
  attention: {
    qkvBias: { key: "attention_bias", default: false },
    outBias: { key: "attention_bias", default: false },
    qkNorm: "head",
    outputGate: true,
    slidingWindow: null,
  },
  delta: { fusedInputs: false },
  mlp: { kind: "gated", bias: false },
  names: {
    ...namesWithHeadNorms,
    norms: { ...namesWithHeadNorms.norms, deltaNorm: "linear_attn.norm" },
    linears: {
      ...namesWithHeadNorms.linears,
      deltaQkv: "linear_attn.in_proj_qkv",
      deltaZ: "linear_attn.in_proj_z",
      deltaB: "linear_attn.in_proj_b",
      deltaA: "linear_attn.in_proj_a",
      deltaOut: "linear_attn.out_proj",
    },
    tensors: {
      deltaConvolution: "linear_attn.conv1d.weight",
      deltaDecay: "linear_attn.A_log",
      deltaTimeBias: "linear_attn.dt_bias",
    },
  },
};

type Experts = NonNullable<Family["experts"]>;
const qwen2Experts = qwen2Moe.experts as Experts;

const namesWithExperts: Family["names"] = {
  ...qwen35Text.names,
  linears: { ...qwen35Text.names.linears, ...expertNames, ...gatedSharedExpertNames },
};

/** Qwen3-Next: Qwen3.5 with experts, and with the inputs of its delta nets in two Linears. */
export const qwen3Next: Family = {
  ...qwen35Text,
  modelType: "qwen3_next",
  defaults: { ...qwen35Text.defaults, kvHeads: 2 },
  delta: { fusedInputs: true },
  experts: {
    ...qwen2Experts,
    perToken: { key: "num_experts_per_tok", default: 10 },
    width: { key: "moe_intermediate_size", default: 512 },
    router: { scores: "softmax", normalised: { key: "norm_topk_prob", default: true } },
    shared: { width: { key: "shared_expert_intermediate_size", default: 512 }, gate: true },
  },
  names: {
    ...namesWithExperts,
    linears: {
      ...namesWithExperts.linears,
      deltaQkvz: "linear_attn.in_proj_qkvz",
      deltaBa: "linear_attn.in_proj_ba",
    },
  },
};

/** Qwen3.5 and 3.6 with experts, their text tower. */
export const qwen35MoeText: Family = {
  ...qwen3Next,
  modelType: "qwen3_5_moe_text",
  delta: { fusedInputs: false },
  experts: {
    ...(qwen3Next.experts as Experts),
    blocks: { lastOf: { key: "decoder_sparse_step", default: 1 }, except: "mlp_only_layers" },
    perToken: { key: "num_experts_per_tok", default: 8 },
    router: { scores: "softmax", normalised: true },
    stored: [stackedExperts, eachExpert],
  },
};
