/** The Linears of a block by what they do; a plain MLP has no `gate`. */
export type LinearRole = "q" | "k" | "v" | "o" | "gate" | "up" | "down";

/** The norms of a block. */
export type NormRole = "attentionNorm" | "mlpNorm";

export interface NormSpec {
  readonly kind: "rms" | "layer";
  readonly eps: number;
}

/** How rotary frequencies are stretched for contexts longer than those of the pre-training. */
export type RotaryScaling =
  | { readonly kind: "none" }
  | { readonly kind: "linear"; readonly factor: number }
  | {
      readonly kind: "llama3";
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalContext: number;
    }
  /** YaRN (arXiv 2309.00071), section 3: pairs that turn often stay, slow ones are stretched, those between blended. */
  | {
      readonly kind: "yarn";
      readonly factor: number;
      /** Factor of cosines and sines. */
      readonly amplitude: number;
      /** Turns in the original context from which a pair stays as it is, and up to which it is stretched in full. */
      readonly fastTurns: number;
      readonly slowTurns: number;
      /** The bounds of the blend are rounded outwards to whole pairs. */
      readonly wholeDimensions: boolean;
      readonly originalContext: number;
    };

export type PositionSpec =
  | { readonly kind: "rotary"; readonly theta: number; readonly scaling: RotaryScaling }
  /** A table of learned vectors, whose first `offset` rows are not positions. */
  | { readonly kind: "learned"; readonly offset: number };

export interface AttentionSpec {
  readonly heads: number;
  /** Heads of keys and values; `heads` is a multiple of it. */
  readonly kvHeads: number;
  readonly headDim: number;
  readonly qkvBias: boolean;
  readonly outBias: boolean;
  /** An RMS norm over each head of the queries and keys. */
  readonly qkNorm: boolean;
  /** Tokens that a token sees, itself included; null for all before it. */
  readonly slidingWindow: number | null;
}

export type Activation = "silu" | "relu" | "gelu" | "gelu_tanh";

export interface MlpSpec {
  /** `gated`: `down(act(gate(x)) * up(x))`; `plain`: `down(act(up(x)))`. */
  readonly kind: "gated" | "plain";
  readonly activation: Activation;
  readonly bias: boolean;
}

/** Hugging Face names of the tensors, without `.weight`; `{block}` stands for the block's number. */
export interface TensorNames {
  readonly embedding: string;
  /** The table of learned positions; unused with rotary ones. */
  readonly positions: string;
  readonly finalNorm: string;
  readonly head: string;
  readonly norms: Readonly<Record<NormRole, string>>;
  readonly qNorm: string;
  readonly kNorm: string;
  readonly linears: Readonly<Record<LinearRole, string>>;
}

/** A decoder-only transformer as plain data: all that the one generic decoder needs to know. */
export interface DecoderSpec {
  /** `model_type` of the Hugging Face configuration. */
  readonly family: string;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly blocks: number;
  readonly vocabSize: number;
  /** Longest context the model was made for, in tokens. */
  readonly maxPositions: number;
  readonly norm: NormSpec;
  readonly positions: PositionSpec;
  readonly attention: AttentionSpec;
  readonly mlp: MlpSpec;
  /** The head is the embedding. */
  readonly tied: boolean;
  readonly names: TensorNames;
}

/** Linears that read the same input, and what makes that input. */
export interface InputSite {
  readonly producer: NormRole | "v" | "up";
  readonly linears: readonly LinearRole[];
}

/** The four inputs of a block's Linears, in the order in which the block computes them. */
export function inputSites(spec: DecoderSpec): readonly InputSite[] {
  return [
    { producer: "attentionNorm", linears: ["q", "k", "v"] },
    { producer: "v", linears: ["o"] },
    { producer: "mlpNorm", linears: spec.mlp.kind === "gated" ? ["gate", "up"] : ["up"] },
    { producer: "up", linears: ["down"] },
  ];
}

/** The Linears of every block, in order. */
export function linearRoles(spec: DecoderSpec): readonly LinearRole[] {
  return inputSites(spec).flatMap((site) => site.linears);
}

/** Module name of a Linear, without `.weight`: `model.layers.0.self_attn.q_proj`. */
export function linearName(spec: DecoderSpec, block: number, role: LinearRole): string {
  return inBlock(spec.names.linears[role], block);
}

/** A name with its block filled in. */
export function inBlock(name: string, block: number): string {
  return name.replace("{block}", String(block));
}

/** Shape `[out, in]` of a Linear's weight. */
export function linearShape(spec: DecoderSpec, role: LinearRole): readonly [number, number] {
  const { heads, kvHeads, headDim } = spec.attention;
  switch (role) {
    case "q":
      return [heads * headDim, spec.hiddenSize];
    case "k":
    case "v":
      return [kvHeads * headDim, spec.hiddenSize];
    case "o":
      return [spec.hiddenSize, heads * headDim];
    case "gate":
    case "up":
      return [spec.intermediateSize, spec.hiddenSize];
    case "down":
      return [spec.hiddenSize, spec.intermediateSize];
  }
}

/** Whether a Linear has a bias. */
export function hasBias(spec: DecoderSpec, role: LinearRole): boolean {
  if (role === "q" || role === "k" || role === "v") return spec.attention.qkvBias;
  return role === "o" ? spec.attention.outBias : spec.mlp.bias;
}
