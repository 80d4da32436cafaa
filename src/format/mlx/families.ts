import { FormatError } from "../../errors.js";

/** How mlx-lm calls what a family's checkpoint calls otherwise. */
export interface MlxFamily {
  /** Parts of names, each in place of another; the first that a name has counts. */
  readonly renamed: readonly (readonly [from: string, to: string])[];
  /** Its model sees the whole context, whatever window the network has. */
  readonly windowless?: boolean;
}

const AS_STORED: MlxFamily = { renamed: [] };
const WINDOWLESS: MlxFamily = { renamed: [], windowless: true };

/** Experts are one module that stacks them. */
const STACKED: MlxFamily = { renamed: [[".mlp.experts.", ".mlp.switch_mlp."]] };

const MIXTRAL_EXPERTS = [
  [".block_sparse_moe.experts.w1.", ".block_sparse_moe.switch_mlp.gate_proj."],
  [".block_sparse_moe.experts.w2.", ".block_sparse_moe.switch_mlp.down_proj."],
  [".block_sparse_moe.experts.w3.", ".block_sparse_moe.switch_mlp.up_proj."],
] as const;

/** Families by `model_type`, as `mlx_lm/models/` of mlx-lm 0.32 has them. */
export const MLX_FAMILIES: Readonly<Record<string, MlxFamily>> = {
  llama: AS_STORED,
  mistral: WINDOWLESS,
  qwen2: WINDOWLESS,
  qwen3: WINDOWLESS,
  smollm3: AS_STORED,
  granite: AS_STORED,
  phi3: WINDOWLESS,
  glm4: AS_STORED,
  olmo2: AS_STORED,
  olmo3: AS_STORED,
  exaone4: AS_STORED,
  gemma2: WINDOWLESS,
  gemma3_text: AS_STORED,
  phi: AS_STORED,
  starcoder2: WINDOWLESS,
  stablelm: AS_STORED,
  nemotron: AS_STORED,
  cohere2: AS_STORED,
  gpt2: { renamed: [["transformer.", "model."]] },
  mixtral: { renamed: MIXTRAL_EXPERTS, windowless: true },
  qwen2_moe: { ...STACKED, windowless: true },
  qwen3_moe: { ...STACKED, windowless: true },
  granitemoe: { renamed: [[".block_sparse_moe.experts.", ".block_sparse_moe.switch_mlp."]] },
  glm4_moe: STACKED,
  gpt_oss: AS_STORED,
  minimax_m2: { renamed: MIXTRAL_EXPERTS },
};

/** The family of a `model_type`, or a FormatError that names the formats which take it. */
export function mlxFamily(modelType: string): MlxFamily {
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
