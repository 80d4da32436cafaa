import type { ModelConfig } from "../../checkpoint/model-config.js";
import { FormatError } from "../../errors.js";
import { type Activation, hasTower, type LinearRole, textConfig } from "../../network/index.js";

/** How mlx-lm calls what a family's checkpoint calls otherwise. */
export interface MlxFamily {
  /** Parts of names, each in place of another; the first that a name has counts. */
  readonly renamed: readonly (readonly [from: string, to: string])[];
  /** Its model sees the whole context, whatever window the network has. */
  readonly windowless?: boolean;
  /** It loads the network as the text part of a larger model alone. */
  readonly inside?: boolean;
  /** Gains that the checkpoint stores less one, and convolutions `[channels, 1, kernel]`, are in its folders as it computes with them. */
  readonly asComputed?: boolean;
  /** Its MLP is so many times as wide as the stream, whatever the configuration says. */
  readonly widening?: number;
  /** `silu` where it is not said; null for whatever the configuration says. */
  readonly activations?: readonly Activation[];
  /** Its heads are together as wide as the stream, whatever the configuration says. */
  readonly squareHeads?: boolean;
  /** Linears that have no bias in it, and those that have one whatever the configuration says. */
  readonly withoutBias?: readonly BiasedLinears[];
  readonly withBias?: readonly BiasedLinears[];
  /** The embedding is its output matrix, or never. */
  readonly head?: "embedding" | "own";
  /** Either all of its blocks have experts, or none. */
  readonly alikeMlps?: boolean;
  /**
   * How it knows which blocks see everything: every so many-th, with the number under one key or another, or a list that must have some
   * of both kinds. Absent where it reads any list, or all blocks are alike.
   */
  readonly kinds?: "every" | "letters" | "both";
  /** Its positions are those of the base, whatever the configuration says of scaling. */
  readonly plainRotary?: boolean;
  /** Linears whose codes it rounds again as it loads them. */
  readonly rounds?: readonly LinearRole[];
}

/** Queries, keys and values; what mixes the heads; the MLP that every token passes. */
export type BiasedLinears = "qkv" | "out" | "mlp";

const ATTENTION = ["qkv", "out"] as const;
const AS_STORED: MlxFamily = { renamed: [] };
const WINDOWLESS: MlxFamily = { renamed: [], windowless: true };
const GEMMA: MlxFamily = { renamed: [], activations: ["gelu_tanh"], withoutBias: ATTENTION };

/** Experts are one module that stacks them. */
const STACKED: MlxFamily = { renamed: [[".mlp.experts.", ".mlp.switch_mlp."]] };

const INSIDE: MlxFamily = { ...AS_STORED, inside: true };

const MIXTRAL_EXPERTS = [
  [".block_sparse_moe.experts.w1.", ".block_sparse_moe.switch_mlp.gate_proj."],
  [".block_sparse_moe.experts.w2.", ".block_sparse_moe.switch_mlp.down_proj."],
  [".block_sparse_moe.experts.w3.", ".block_sparse_moe.switch_mlp.up_proj."],
] as const;

/** Convolutions in some blocks and attention in others. */
const LFM2 = { squareHeads: true, head: "embedding", kinds: "both", plainRotary: true } as const;

/** Families by `model_type`, as `mlx_lm/models/` of mlx-lm 0.32 has them. */
export const MLX_FAMILIES: Readonly<Record<string, MlxFamily>> = {
  llama: AS_STORED,
  mistral: WINDOWLESS,
  qwen2: { ...WINDOWLESS, squareHeads: true },
  qwen3: { ...WINDOWLESS, withoutBias: ATTENTION },
  smollm3: AS_STORED,
  granite: { ...AS_STORED, squareHeads: true },
  phi3: { ...WINDOWLESS, squareHeads: true },
  glm4: { ...AS_STORED, head: "own" },
  olmo2: AS_STORED,
  olmo3: { ...AS_STORED, kinds: "both" },
  exaone4: { ...AS_STORED, kinds: "letters" },
  gemma2: { ...GEMMA, windowless: true, head: "embedding" },
  gemma3_text: { ...GEMMA, kinds: "every" },
  phi: { ...AS_STORED, activations: ["gelu_tanh"], squareHeads: true, head: "own" },
  starcoder2: {
    ...{ ...WINDOWLESS, activations: ["gelu", "gelu_tanh"], squareHeads: true, withBias: ["qkv", "out", "mlp"] },
  },
  stablelm: { ...AS_STORED, squareHeads: true, head: "own" },
  nemotron: { ...AS_STORED, activations: ["relu2"] },
  cohere2: { ...AS_STORED, squareHeads: true, head: "embedding", kinds: "every" },
  gpt2: { renamed: [["transformer.", "model."]], activations: ["gelu_tanh"], head: "embedding" },
  mixtral: { renamed: MIXTRAL_EXPERTS, windowless: true, squareHeads: true },
  qwen2_moe: { ...STACKED, windowless: true, squareHeads: true, withBias: ["qkv"], head: "own", alikeMlps: true },
  qwen3_moe: { ...STACKED, windowless: true, withoutBias: ATTENTION },
  granitemoe: { renamed: [[".block_sparse_moe.experts.", ".block_sparse_moe.switch_mlp."]], squareHeads: true },
  glm4_moe: { ...STACKED, head: "own" },
  gpt_oss: { ...AS_STORED, withBias: ATTENTION, head: "own", kinds: "both" },
  minimax_m2: { renamed: MIXTRAL_EXPERTS },
  deepseek_v2: { ...STACKED, withoutBias: ["mlp"], head: "own" },
  deepseek_v3: { ...STACKED, head: "own", rounds: ["kvUp"] },
  gpt_neox: {
    ...{ widening: 4, activations: ["gelu_tanh", "gelu"], withBias: ["qkv", "out", "mlp"], head: "own" },
    renamed: [
      ["gpt_neox.layers.", "model.h."],
      ["gpt_neox.", "model."],
      ["embed_out.", "model.embed_out."],
    ],
  },
  gemma4_text: { ...GEMMA, renamed: [[".experts.", ".experts.switch_glu."]] },
  qwen3_next: { ...STACKED, asComputed: true, kinds: "every" },
  qwen3_5_text: { ...INSIDE, kinds: "every" },
  qwen3_5_moe_text: { ...STACKED, inside: true, kinds: "every" },
  qwen2_vl_text: { ...INSIDE, windowless: true, squareHeads: true },
  qwen2_5_vl_text: { ...INSIDE, windowless: true, squareHeads: true },
  qwen3_vl_text: { ...INSIDE, withoutBias: ATTENTION },
  qwen3_vl_moe_text: { ...STACKED, inside: true, withoutBias: ATTENTION },
  llama4_text: INSIDE,
  gemma: { ...GEMMA, head: "embedding" },
  seed_oss: AS_STORED,
  ernie4_5: AS_STORED,
  helium: AS_STORED,
  cohere: { ...AS_STORED, squareHeads: true, head: "embedding" },
  ministral3: AS_STORED,
  hunyuan_v1_dense: AS_STORED,
  glm4_moe_lite: { ...STACKED, head: "own", rounds: ["kvUp"] },
  dots1: AS_STORED,
  olmoe: { ...STACKED, withoutBias: ATTENTION },
  lfm2: { renamed: [], ...LFM2 },
  lfm2_moe: {
    ...LFM2,
    renamed: [
      [".feed_forward.experts.w1.", ".feed_forward.switch_mlp.gate_proj."],
      [".feed_forward.experts.w2.", ".feed_forward.switch_mlp.down_proj."],
      [".feed_forward.experts.w3.", ".feed_forward.switch_mlp.up_proj."],
      [".feed_forward.w1.", ".feed_forward.gate_proj."],
      [".feed_forward.w2.", ".feed_forward.down_proj."],
      [".feed_forward.w3.", ".feed_forward.up_proj."],
    ],
  },
  apertus: { renamed: [], activations: ["xielu"], squareHeads: true, withoutBias: ATTENTION },
};

/** `model_type` of models of text and images whose text network it loads; the network's parts are named alike in all of them. */
const TOWERS: ReadonlySet<string> = new Set([
  ...["gemma3", "gemma4", "llama4", "llava", "mistral3", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe"],
  ...["qwen3_5", "qwen3_5_moe"],
]);
/** What their names begin with. */
export const TOWER_BODY = "language_model.model.";
export const TOWER_HEAD = "language_model.lm_head";

/**
 * The family of a network by its configuration.
 *
 * @throws FormatError that names the formats which take it, or the models of text and images that mlx-lm loads
 */
export function mlxFamily(config: ModelConfig): MlxFamily {
  const family = mlxTextFamily(String(textConfig(config)["model_type"]));
  const whole = String(config["model_type"]);
  if (hasTower(config)) {
    if (TOWERS.has(whole)) return family;
    throw new FormatError({
      what: `mlx-lm does not load models of the type ${whole}, not even their text`,
      where: "config.json",
      why: `of models of text and images it loads ${[...TOWERS].join(", ")}`,
      next: "use --format compressed-tensors or gguf",
    });
  }
  if (family.inside !== true) return family;
  throw new FormatError({
    what: `mlx-lm loads a ${whole} as a part of a model of text and images alone`,
    where: "config.json",
    next: "use --format compressed-tensors or gguf, or quantize the model that it is a part of",
  });
}

/** The family of a text network, whether it stands alone or not. */
export function mlxTextFamily(modelType: string): MlxFamily {
  const family = Object.hasOwn(MLX_FAMILIES, modelType) ? MLX_FAMILIES[modelType] : undefined;
  if (family !== undefined) return family;
  throw new FormatError({
    what: `mlx-lm has no place for the model type ${modelType}, or not as crossblock writes it`,
    where: "config.json",
    why: `MLX is written for ${Object.keys(MLX_FAMILIES).join(", ")}`,
    next: "use --format compressed-tensors",
  });
}

/** mlx-lm's name of a tensor or module of the network. */
export function mlxName(name: string, { renamed }: MlxFamily): string {
  return replaced(name, renamed);
}

/** The way back. */
export function networkName(name: string, { renamed }: MlxFamily): string {
  return replaced(
    name,
    renamed.map(([from, to]) => [to, from] as const),
  );
}

// Modules end where their tensors go on.
function replaced(name: string, pairs: readonly (readonly [string, string])[]): string {
  const dotted = `.${name}.`;
  for (const [from, to] of pairs) {
    const [found, other] = from.startsWith(".") ? [from, to] : [`.${from}`, `.${to}`];
    if (dotted.includes(found)) return dotted.replace(found, other).slice(1, -1);
  }
  return name;
}
