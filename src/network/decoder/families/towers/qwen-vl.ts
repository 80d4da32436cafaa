import type { StoredExperts } from "../../spec/experts/experts-spec.js";
import { eachExpert, qwen3Moe, stackedExperts } from "../experts/qwen3-moe.js";
import type { Family } from "../family.js";
import { qwen2, qwenKinds } from "../qwen2.js";
import { qwen3 } from "../qwen3.js";

/** The text network of Qwen2-VL: Qwen2 whose positions have parts for images. */
export const qwen2VlText: Family = {
  ...qwen2,
  modelType: "qwen2_vl_text",
  defaults: { activation: "silu", maxPositions: 32768, kvHeads: 8, headDim: null },
  sizes: {
    vocab_size: 152064,
    hidden_size: 8192,
    intermediate_size: 29568,
    num_hidden_layers: 80,
    num_attention_heads: 64,
  },
  norm: { kind: "rms", eps: { key: "rms_norm_eps", default: 1e-5 } },
  rotary: { multimodal: true, theta: 1e6 },
  kinds: { ...qwenKinds, absent: { from: { key: "max_window_layers", default: 80 }, kind: "sliding_attention" } },
};

/** The text network of Qwen2.5-VL. */
export const qwen25VlText: Family = { ...qwen2VlText, modelType: "qwen2_5_vl_text" };

/** The text network of Qwen3-VL: Qwen3 whose positions have parts for images, without a window. */
export const qwen3VlText: Family = {
  ...qwen3,
  modelType: "qwen3_vl_text",
  defaults: { activation: "silu", maxPositions: 128000, kvHeads: 32, headDim: 128 },
  sizes: {
    vocab_size: 151936,
    hidden_size: 4096,
    intermediate_size: 22016,
    num_hidden_layers: 32,
    num_attention_heads: 32,
  },
  rotary: { multimodal: true, theta: 5e5 },
  attention: { ...qwen3.attention, slidingWindow: null },
};

const { kinds: _, ...withoutKinds } = qwen3VlText;

/** The experts of Qwen3-VL as its authors saved them, with inputs before outputs; transformers saves them the other way. */
const transposedExperts: StoredExperts = {
  kind: "stacked",
  gateUp: "mlp.experts.gate_up_proj",
  down: "mlp.experts.down_proj",
  transposed: true,
  rows: "halves",
};

/** The text network of Qwen3-VL with experts. */
export const qwen3VlMoeText: Family = {
  ...withoutKinds,
  modelType: "qwen3_vl_moe_text",
  defaults: { activation: "silu", maxPositions: 128000, kvHeads: 16, headDim: null },
  sizes: {
    vocab_size: 151936,
    hidden_size: 2048,
    intermediate_size: 5632,
    num_hidden_layers: 24,
    num_attention_heads: 16,
  },
  experts: {
    ...(qwen3Moe.experts as NonNullable<Family["experts"]>),
    perToken: { key: "num_experts_per_tok", default: 4 },
    width: { key: "moe_intermediate_size", default: 1408 },
    router: { scores: "softmax", normalised: true },
    stored: [transposedExperts, stackedExperts, eachExpert],
  },
  names: qwen3Moe.names,
};
