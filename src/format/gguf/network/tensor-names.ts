import { FormatError } from "../../../errors.js";

/** How llama.cpp knows a model family. */
export interface GgufFamily {
  /** `general.architecture`, and the prefix of the model's metadata keys. */
  readonly architecture: "llama" | "qwen2" | "qwen3" | "qwen2moe" | "qwen3moe" | "granite" | "smollm3" | "olmo2";
  /** True where llama.cpp rotates neighbouring pairs, so that rows of q and k change places (`rotary-order.ts`). */
  readonly interleavedRotary: boolean;
  /** Modules of one layer, `model.layers.N.` and `blk.N.` left out, in the order of the file. */
  readonly layer: Readonly<Record<string, string>>;
  /** How its graph routes tokens to experts: by a softmax over all, whose chosen weights are made to add up to 1, or stay. */
  readonly experts?: { readonly normalised: boolean };
}

const LAYER = {
  input_layernorm: "attn_norm",
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
  post_attention_layernorm: "ffn_norm",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
} as const;

const { "mlp.gate_proj": _gate, "mlp.up_proj": _up, "mlp.down_proj": _down, ...BESIDE_MLP } = LAYER;

/** Experts are stacked: one tensor of three dimensions for each of their Linears. */
const EXPERTS = {
  ...BESIDE_MLP,
  "mlp.gate": "ffn_gate_inp",
  "mlp.experts.gate_proj": "ffn_gate_exps",
  "mlp.experts.up_proj": "ffn_up_exps",
  "mlp.experts.down_proj": "ffn_down_exps",
} as const;

const HEAD_NORMS = { "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm" } as const;

/** Norms behind attention and MLP alone. */
const POST_NORMS = {
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
  ...HEAD_NORMS,
  post_attention_layernorm: "post_attention_norm",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
  post_feedforward_layernorm: "post_ffw_norm",
} as const;

/** Families by `model_type`. */
export const GGUF_FAMILIES: Readonly<Record<string, GgufFamily>> = {
  llama: { architecture: "llama", interleavedRotary: true, layer: LAYER },
  mistral: { architecture: "llama", interleavedRotary: true, layer: LAYER },
  qwen2: { architecture: "qwen2", interleavedRotary: false, layer: LAYER },
  qwen3: {
    architecture: "qwen3",
    interleavedRotary: false,
    layer: { ...LAYER, ...HEAD_NORMS },
  },
  mixtral: {
    architecture: "llama",
    interleavedRotary: true,
    layer: {
      ...BESIDE_MLP,
      "block_sparse_moe.gate": "ffn_gate_inp",
      "block_sparse_moe.experts.w1": "ffn_gate_exps",
      "block_sparse_moe.experts.w3": "ffn_up_exps",
      "block_sparse_moe.experts.w2": "ffn_down_exps",
    },
    experts: { normalised: true },
  },
  qwen2_moe: {
    architecture: "qwen2moe",
    interleavedRotary: false,
    layer: {
      ...EXPERTS,
      "mlp.shared_expert.gate_proj": "ffn_gate_shexp",
      "mlp.shared_expert.up_proj": "ffn_up_shexp",
      "mlp.shared_expert.down_proj": "ffn_down_shexp",
      "mlp.shared_expert_gate": "ffn_gate_inp_shexp",
    },
    experts: { normalised: false },
  },
  qwen3_moe: {
    architecture: "qwen3moe",
    interleavedRotary: false,
    layer: { ...EXPERTS, ...HEAD_NORMS },
    experts: { normalised: true },
  },
  granite: { architecture: "granite", interleavedRotary: true, layer: LAYER },
  smollm3: { architecture: "smollm3", interleavedRotary: true, layer: LAYER },
  olmo2: { architecture: "olmo2", interleavedRotary: false, layer: POST_NORMS },
};

/** The family of a `model_type`, or a FormatError that names the formats which take it. */
export function ggufFamily(modelType: string): GgufFamily {
  const family = Object.hasOwn(GGUF_FAMILIES, modelType) ? GGUF_FAMILIES[modelType] : undefined;
  if (family !== undefined) return family;
  throw new FormatError({
    what: `no GGUF export for the model type ${modelType}`,
    where: "config.json",
    why:
      modelType === "opt"
        ? "OPT is not an architecture of llama.cpp"
        : `GGUF is written for ${Object.keys(GGUF_FAMILIES).join(", ")}`,
    next: modelType === "opt" ? "use --format onnx or compressed-tensors" : "use --format compressed-tensors",
  });
}

/** Where a tensor of the checkpoint goes: its GGUF name, and its place in the file's order. */
export interface GgufName {
  readonly name: string;
  readonly rank: number;
  /** The module of the layer that it belongs to, `self_attn.q_proj`; null outside the layers. */
  readonly module: string | null;
}

/**
 * The GGUF name of a checkpoint tensor; null for tensors that GGUF leaves out (the output matrix of a model
 * with tied embeddings, and rotary tables that old checkpoints carry). Throws a FormatError for unknown tensors.
 */
export function ggufName(family: GgufFamily, tensor: string, tied: boolean): GgufName | null {
  if (tensor === "model.embed_tokens.weight") return { name: "token_embd.weight", rank: 0, module: null };
  if (tensor === "model.norm.weight") return { name: "output_norm.weight", rank: Number.MAX_VALUE, module: null };
  if (tensor === "lm_head.weight") {
    return tied ? null : { name: "output.weight", rank: Number.POSITIVE_INFINITY, module: null };
  }
  if (tensor.endsWith(".rotary_emb.inv_freq")) return null;
  const match = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(tensor);
  const [, layer, module, kind] = match ?? [];
  const modules = Object.keys(family.layer);
  if (layer === undefined || module === undefined || kind === undefined || !modules.includes(module)) {
    throw new FormatError({
      what: `GGUF's architecture ${family.architecture} has no place for this tensor`,
      where: tensor,
      next: "use --format compressed-tensors, which keeps every tensor under its own name",
    });
  }
  const rank = 1 + Number(layer) * 100 + modules.indexOf(module) * 2 + (kind === "bias" ? 1 : 0);
  return { name: `blk.${layer}.${family.layer[module]}.${kind}`, rank, module };
}

/** Names of the checkpoint tensors that a file of this family can't do without. */
export function requiredTensors(family: GgufFamily, layers: number, tied: boolean): readonly string[] {
  const names = ["model.embed_tokens.weight"];
  for (let n = 0; n < layers; n++) {
    for (const module of Object.keys(family.layer)) names.push(`model.layers.${n}.${module}.weight`);
  }
  names.push("model.norm.weight");
  if (!tied) names.push("lm_head.weight");
  return names;
}
