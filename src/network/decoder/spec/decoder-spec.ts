import type {
  AttentionSpec,
  BlockSpec,
  InnerNormRole,
  LinearRole,
  NormRole,
  NormSpec,
  TensorRole,
} from "./block-spec.js";
import type { StoredExperts } from "./experts/experts-spec.js";

export * from "./block-spec.js";
export * from "./experts/experts-spec.js";

/** What comes before the blocks. */
export interface EmbeddingSpec {
  /** Factor of a token's vector. */
  readonly multiplier: number;
  /** A table of learned vectors is added, whose first `offset` rows are not positions; null without one. */
  readonly positions: { readonly offset: number } | null;
  readonly norm: NormSpec | null;
}

/** What comes after the final norm. */
export interface HeadSpec {
  readonly bias: boolean;
  /** Factor of the logits. */
  readonly multiplier: number;
  /** `softcap * tanh(logits / softcap)`; null for logits as they are. */
  readonly softcap: number | null;
}

/** Hugging Face names of the tensors, without `.weight`. */
export interface TensorNames {
  readonly embedding: string;
  /** The table of learned positions. */
  readonly positions?: string;
  readonly embeddingNorm?: string;
  readonly finalNorm: string;
  readonly head: string;
  /** What the modules of a block begin with; `{block}` stands for its number. */
  readonly block: string;
  /** Within a block. */
  readonly norms: Readonly<Partial<Record<NormRole | InnerNormRole, string>>>;
  readonly linears: Readonly<Partial<Record<LinearRole, string>>>;
  /** Full names within a block of what is neither Linear nor norm. */
  readonly tensors?: Readonly<Partial<Record<TensorRole, string>>>;
}

/** Linears that a checkpoint stores as one tensor; the network reads each as rows of it. */
export interface FusedLinears {
  /** The module that is stored, within a block: `self_attn.qkv_proj`. */
  readonly module: string;
  readonly parts: readonly LinearRole[];
  /** `stacked`: all rows of one part, then of the next. `heads`: the rows of a head of all parts, then of the next head. */
  readonly order: "stacked" | "heads";
}

/** A decoder-only transformer as plain data: all that the one generic decoder needs to know. */
export interface DecoderSpec {
  /** `model_type` of the Hugging Face configuration. */
  readonly family: string;
  readonly hiddenSize: number;
  readonly vocabSize: number;
  /** Longest context the model was made for, in tokens. */
  readonly maxPositions: number;
  readonly embedding: EmbeddingSpec;
  /** In order; they may differ in all that they are made of. */
  readonly blocks: readonly BlockSpec[];
  readonly finalNorm: NormSpec;
  readonly head: HeadSpec;
  /** The head is the embedding. */
  readonly tied: boolean;
  readonly names: TensorNames;
  /** How the checkpoint stores Linears: several as one tensor, and all of them with their dimensions swapped (`[in, out]`). */
  readonly stored: {
    readonly fused: readonly FusedLinears[];
    readonly transposed: readonly LinearRole[];
    /** Of experts: the forms that a checkpoint may have, the first of which counts, and the modules of single ones. */
    readonly experts: { readonly forms: readonly StoredExperts[]; readonly each: StoredExperts } | null;
  };
}

/** A block of the network. */
export function blockOf(spec: DecoderSpec, block: number): BlockSpec {
  const found = spec.blocks[block];
  if (found === undefined) throw new RangeError(`the network has no block ${block}`);
  return found;
}

/** The softmax attention of a block. @throws TypeError where the block has another kind */
export function softmaxAttentionOf(spec: DecoderSpec, block: number): AttentionSpec {
  const { attention } = blockOf(spec, block);
  if (attention.kind !== "softmax") throw new TypeError(`block ${block} has no softmax attention`);
  return attention;
}

/** The full name of what a family calls `name` within its blocks: `model.layers.0.self_attn.q_proj`. */
export function inBlock({ block: prefix }: TensorNames, block: number, name: string): string {
  return `${prefix.replace("{block}", String(block))}.${name}`;
}

/** Module name of a Linear, without `.weight`. */
export function linearName({ names }: DecoderSpec, block: number, role: LinearRole): string {
  return inBlock(names, block, required(names.linears[role], role));
}

/** Module name of a norm in a block, without `.weight`. */
export function normName({ names }: DecoderSpec, block: number, role: NormRole | InnerNormRole): string {
  return inBlock(names, block, required(names.norms[role], role));
}

/** Full name of another tensor of a block. */
export function tensorName({ names }: DecoderSpec, block: number, role: TensorRole): string {
  return inBlock(names, block, required(names.tensors?.[role], role));
}

function required(name: string | undefined, role: string): string {
  if (name === undefined) throw new TypeError(`this family has no name for "${role}"`);
  return name;
}
