import { FormatError } from "../../../errors.js";
import type { Activation, InnerNormRole, LinearRole, NormRole, TensorRole } from "../../../network/index.js";

/** What a block is made of, by what it does; `qkv` and `gateUp` where a checkpoint stores those as one. */
export type BlockPart = LinearRole | NormRole | InnerNormRole | TensorRole | "qkv" | "gateUp";

/** Queries, keys and values; what mixes the heads; the MLP that every token passes. */
export type BiasedLinears = "qkv" | "out" | "mlp";

/** How llama.cpp's graph routes tokens to experts. */
export interface ExpertsGraph {
  /** A softmax over all, whose chosen weights are made to add up to 1, or stay; `keyed`: the file says both, and may say sigmoid. */
  readonly weights: "normalised" | "as-scored" | "keyed";
  /** Biases of router and experts, and gpt-oss's clamped product. */
  readonly clamped?: boolean;
  /** Experts add to a dense MLP with norms of its own, and their router reads the stream (Gemma 4). */
  readonly besideDense?: boolean;
  /** The sigmoid of the chosen logits weighs what experts read (Llama 4). */
  readonly weighsInput?: boolean;
  /** The file counts which blocks have experts: every so many-th. */
  readonly interleaved?: boolean;
}

/** How llama.cpp knows a model family, and what its graph of it fixes. */
export interface GgufFamily {
  /** `general.architecture`, and the prefix of the model's metadata keys. */
  readonly architecture: string;
  /** Channels of a head that its graph turns together. */
  readonly pairs: "halves" | "neighbours";
  /** Names of parts of a block, where they are not the usual ones (`tensor-names.ts`). */
  readonly renamed?: Readonly<Partial<Record<BlockPart, string>>>;
  /** `silu` where it is not said. */
  readonly activations?: readonly Activation[];
  /**
   * Blocks have a window, all but every so many-th one unless a key says another number; without it, the graph sees the whole
   * context.
   */
  readonly windows?: number;
  /** Every file of it has a window. */
  readonly asksForWindow?: boolean;
  /** That holds in networks of so many blocks alone. */
  readonly windowedBlocks?: number;
  /** Blocks without rotary positions: every so many-th, or those without a window beside some that have one. */
  readonly unrotated?: number | "full";
  /** Keys for the caps of scores and logits. */
  readonly softcaps?: boolean;
  /** Keys for these factors; others must be 1. */
  readonly factors?: readonly ("embedding" | "residual" | "attention" | "logits" | "logitsDivisor")[];
  /** It multiplies the embedding by the root of the hidden size. */
  readonly rootEmbedding?: boolean;
  /** In a network of so many blocks it scales scores by the hidden size over the heads, not by the width of a head. */
  readonly scaledByHidden?: number;
  /** Bounds of YaRN's blend are rounded to whole pairs, though the network's are not: llama.cpp has no others. */
  readonly roundsYarn?: boolean;
  /** Its graph reads LongRoPE's two lists of divisors. */
  readonly longRope?: boolean;
  /** Linears that have no bias in its graph, whatever the configuration says, and those that must have one. */
  readonly withoutBias?: readonly BiasedLinears[];
  readonly withBias?: readonly BiasedLinears[];
  /** Its heads are together as wide as the stream. */
  readonly squareHeads?: boolean;
  /** The embedding is the output matrix in every file of it, or never. */
  readonly head?: "embedding" | "own";
  /** A key says whether attention and MLP are computed side by side. */
  readonly parallelKey?: boolean;
  readonly experts?: ExpertsGraph;
  /** Attention is latent, and stored as the checkpoint has it. */
  readonly latent?: boolean;
  /** Blocks may be gated delta nets, whose value heads lie by the key head that they share, or one of every key head in turn. */
  readonly delta?: "grouped" | "tiled";
  /** Blocks may be gated short convolutions; those have no heads of keys and values. */
  readonly convolutions?: boolean;
  /** What its graph calls the last norm, where it is not `output_norm`. */
  readonly finalNorm?: string;
  /** Blocks with a window and full ones have heads and positions of their own, in any order. */
  readonly perKind?: boolean;
  /** Its graph's chunks of tokens, in all but every so many-th block, and what its queries grow by in the others. */
  readonly chunks?: { readonly size: number; readonly allBut: number; readonly floor: number; readonly scale: number };
  /** Norms of queries and keys are behind their positions. */
  readonly normsBehindPositions?: boolean;
  /** It has as many heads of keys and values as of queries. */
  readonly wholeHeads?: boolean;
  /** The file says how positions are parted among time, height and width of an image. */
  readonly sections?: boolean;
}

const SILU_LIKE = { pairs: "halves" } as const;
const SQUARE = { ...SILU_LIKE, squareHeads: true } as const;
const ALL_LINEARS = ["qkv", "out", "mlp"] as const;
const ATTENTION = ["qkv", "out"] as const;
const GEMMA = {
  ...{ withoutBias: ATTENTION, pairs: "halves", activations: ["gelu_tanh"], softcaps: true, rootEmbedding: true },
} as const satisfies Partial<GgufFamily>;
const GRANITE = {
  ...{ pairs: "neighbours", factors: ["embedding", "residual", "attention", "logitsDivisor"] },
} as const satisfies Partial<GgufFamily>;
/** Where the norm between attention and MLP is named after the former. */
const AFTER_ATTENTION = { mlpNorm: "post_attention_norm" } as const;

const HYBRID = {
  withoutBias: ATTENTION,
  ...SILU_LIKE,
  renamed: AFTER_ATTENTION,
} as const satisfies Partial<GgufFamily>;
const DEEPSEEK = {
  ...{ architecture: "deepseek2", pairs: "neighbours", latent: true, withoutBias: ["mlp"] },
  experts: { weights: "keyed" },
} as const satisfies GgufFamily;

/** Families by `model_type`. */
export const GGUF_FAMILIES: Readonly<Record<string, GgufFamily>> = {
  llama: { architecture: "llama", pairs: "neighbours" },
  mistral: { architecture: "llama", pairs: "neighbours" },
  qwen2: { architecture: "qwen2", ...SQUARE },
  qwen3: { architecture: "qwen3", ...SILU_LIKE, withoutBias: ["out"] },
  mixtral: { architecture: "llama", pairs: "neighbours", experts: { weights: "normalised" } },
  qwen2_moe: { architecture: "qwen2moe", ...SQUARE, head: "own", experts: { weights: "as-scored" } },
  qwen3_moe: { architecture: "qwen3moe", ...SILU_LIKE, withoutBias: ["out"], experts: { weights: "normalised" } },
  granite: { architecture: "granite", ...GRANITE },
  granitemoe: { architecture: "granitemoe", ...GRANITE, experts: { weights: "normalised" } },
  smollm3: { architecture: "smollm3", pairs: "neighbours", unrotated: 4, withoutBias: ALL_LINEARS },
  olmo2: { architecture: "olmo2", ...SQUARE, withoutBias: ATTENTION, head: "own" },
  olmo3: { architecture: "olmo2", ...SQUARE, withoutBias: ATTENTION, head: "own", windows: 4 },
  exaone4: { architecture: "exaone4", ...SQUARE, windows: 4, windowedBlocks: 64, unrotated: "full" },
  gemma2: { architecture: "gemma2", ...GEMMA, windows: 2, asksForWindow: true, scaledByHidden: 46, head: "embedding" },
  gemma3_text: { architecture: "gemma3", ...GEMMA, windows: 6, scaledByHidden: 62 },
  phi3: { architecture: "phi3", ...SQUARE, longRope: true },
  glm4: { architecture: "glm4", pairs: "neighbours" },
  glm4_moe: { architecture: "glm4moe", ...SILU_LIKE, renamed: AFTER_ATTENTION, experts: { weights: "keyed" } },
  minimax_m2: { architecture: "minimax-m2", ...SILU_LIKE, head: "own", experts: { weights: "keyed" } },
  gpt_oss: {
    ...{
      architecture: "gpt-oss",
      ...SILU_LIKE,
      renamed: AFTER_ATTENTION,
      windows: 2,
      asksForWindow: true,
      roundsYarn: true,
    },
    withBias: ATTENTION,
    head: "own",
    experts: { weights: "normalised", clamped: true },
  },
  deepseek_v2: DEEPSEEK,
  deepseek_v3: DEEPSEEK,
  gemma4_text: {
    ...{ architecture: "gemma4", ...GEMMA, perKind: true, factors: [] },
    experts: { weights: "normalised", besideDense: true },
  },
  llama4_text: {
    ...{ architecture: "llama4", pairs: "neighbours", unrotated: 4, withoutBias: ATTENTION },
    chunks: { size: 8192, allBut: 4, floor: 8192, scale: 0.1 },
    experts: { weights: "as-scored", weighsInput: true, interleaved: true },
  },
  qwen3_5_text: { architecture: "qwen35", ...HYBRID, delta: "tiled", sections: true },
  qwen3_5_moe_text: {
    ...{ architecture: "qwen35moe", ...HYBRID, delta: "tiled", sections: true },
    experts: { weights: "normalised" },
  },
  qwen3_next: { architecture: "qwen3next", ...HYBRID, delta: "grouped", experts: { weights: "normalised" } },
  qwen2_vl_text: { architecture: "qwen2vl", ...SQUARE, sections: true },
  qwen2_5_vl_text: { architecture: "qwen2vl", ...SQUARE, sections: true },
  qwen3_vl_text: { architecture: "qwen3vl", ...SILU_LIKE, sections: true },
  qwen3_vl_moe_text: {
    ...{ architecture: "qwen3vlmoe", ...SILU_LIKE, sections: true },
    experts: { weights: "normalised" },
  },
  gpt2: { architecture: "gpt2", ...SILU_LIKE, activations: ["gelu_tanh"] },
  starcoder2: { architecture: "starcoder2", ...SQUARE, activations: ["gelu_tanh"], withBias: ALL_LINEARS },
  stablelm: { architecture: "stablelm", ...SQUARE, parallelKey: true, head: "own" },
  nemotron: { architecture: "nemotron", ...SQUARE, activations: ["relu2"], head: "own" },
  cohere2: {
    ...{
      architecture: "cohere2",
      squareHeads: true,
      pairs: "neighbours",
      windows: 4,
      asksForWindow: true,
      unrotated: "full",
    },
    ...{ factors: ["logits"], withoutBias: ALL_LINEARS, head: "embedding" },
  },
  gpt_neox: {
    ...{ architecture: "gptneox", ...SILU_LIKE, activations: ["gelu_tanh", "gelu"], parallelKey: true },
    ...{ withBias: ALL_LINEARS, head: "own" },
  },
  bloom: { architecture: "bloom", ...SILU_LIKE, activations: ["gelu_tanh"] },
  gemma: {
    ...{ architecture: "gemma", ...SILU_LIKE, activations: ["gelu_tanh"], rootEmbedding: true, head: "embedding" },
    withoutBias: ATTENTION,
  },
  seed_oss: { architecture: "seed_oss", ...SILU_LIKE, renamed: AFTER_ATTENTION, withoutBias: ["out", "mlp"] },
  arcee: { architecture: "arcee", pairs: "neighbours", activations: ["relu2"], withoutBias: ALL_LINEARS },
  ernie4_5: { architecture: "ernie4_5", pairs: "neighbours", withoutBias: ["mlp"] },
  cohere: {
    ...{ architecture: "command-r", pairs: "neighbours", squareHeads: true, factors: ["logits"] },
    ...{ withoutBias: ALL_LINEARS, head: "embedding" },
  },
  hunyuan_v1_dense: { architecture: "hunyuan-dense", ...SILU_LIKE, normsBehindPositions: true, withoutBias: ["mlp"] },
  hunyuan_v1_moe: {
    ...{ architecture: "hunyuan-moe", ...SILU_LIKE, normsBehindPositions: true, withoutBias: ["mlp"] },
    experts: { weights: "normalised" },
  },
  glm4_moe_lite: DEEPSEEK,
  dots1: {
    ...{ architecture: "dots1", ...SILU_LIKE, wholeHeads: true, withoutBias: ALL_LINEARS, head: "own" },
    experts: { weights: "keyed" },
  },
  olmoe: {
    ...{ architecture: "olmoe", ...SQUARE, wholeHeads: true, withoutBias: ALL_LINEARS, head: "own" },
    experts: { weights: "as-scored" },
  },
  solar_open: { architecture: "glm4moe", ...SILU_LIKE, renamed: AFTER_ATTENTION, experts: { weights: "keyed" } },
  lfm2: {
    ...{
      architecture: "lfm2",
      ...SILU_LIKE,
      convolutions: true,
      finalNorm: "token_embd_norm",
      withoutBias: ALL_LINEARS,
    },
    head: "embedding",
  },
  internlm3: { architecture: "llama", pairs: "neighbours" },
  iquestcoder: { architecture: "llama", pairs: "neighbours" },
  exaone: { architecture: "exaone", ...SILU_LIKE, withoutBias: ALL_LINEARS },
  phi: { architecture: "phi2", ...SQUARE, activations: ["gelu_tanh"], head: "own" },
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
