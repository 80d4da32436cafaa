import type { ExpertsRole, ExpertsSpec, RouterTensorRole } from "./experts/experts-spec.js";

/** The Linears of a block by what they do; a plain MLP has no `gate`. */
export type LinearRole = AttentionRole | LatentRole | DeltaRole | ConvolutionRole | MlpRole | ExpertsRole;

/** Of attention: `q` also makes the output gate where there is one, and `v` is absent where values are keys. */
export type AttentionRole = "q" | "k" | "v" | "o";

/** Of latent attention: queries, keys and values through a narrow latent; `q` stands alone where queries have none. */
export type LatentRole = "qDown" | "qUp" | "kvDown" | "kvUp";

/** Of a gated delta net: `deltaQkvz` and `deltaBa` in place of the four before them where they are fused. */
export type DeltaRole = "deltaQkv" | "deltaZ" | "deltaB" | "deltaA" | "deltaQkvz" | "deltaBa" | "deltaOut";

/** Of a short convolution: what gives its two gates and its input, and what reads its output. */
export type ConvolutionRole = "convolutionIn" | "convolutionOut";

export type MlpRole = "gate" | "up" | "down";

/** The norms on the stream of a block: before and after each sublayer. A family names those that it has. */
export type NormRole = "attentionNorm" | "attentionPostNorm" | "mlpNorm" | "mlpPostNorm" | BesideNormRole;

/** Of a dense MLP beside experts: before and behind the experts, and behind the MLP. */
export type BesideNormRole = "expertsNorm" | "expertsPostNorm" | "densePostNorm";

/** The norms inside a block's attention. */
export type InnerNormRole = "qNorm" | "kNorm" | "qLatentNorm" | "kvLatentNorm" | "deltaNorm";

/** Stored tensors of a block that are neither Linears nor norms. */
export type TensorRole =
  | RouterTensorRole
  | "outputScalar"
  | "sinks"
  | "deltaConvolution"
  | "deltaDecay"
  | "deltaTimeBias"
  | "convolution"
  | "convolutionBias"
  | XieluRole;

/** What the activation xIELU of a block has learnt, a number each. */
export type XieluRole = "xieluPositive" | "xieluNegative" | "xieluBeta" | "xieluEps";

export interface NormSpec {
  readonly kind: "rms" | "layer";
  readonly eps: number;
  /** What the normalised values are multiplied by: the stored gains, one plus these, or nothing. */
  readonly gain: "w" | "1+w" | "none";
  /** Stored shifts are added. */
  readonly bias: boolean;
  /** What it gives is multiplied by a stored matrix. */
  readonly matrix?: true;
}

/** A norm of queries, keys or values: over each head, or over all heads together. */
export interface HeadNormSpec extends NormSpec {
  readonly over: "head" | "heads";
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
    }
  /** LongRoPE (arXiv 2402.13753): a divisor for each pair, others beyond the original context. */
  | {
      readonly kind: "longrope";
      readonly short: readonly number[];
      readonly long: readonly number[];
      readonly amplitude: number;
      /** Beyond the original context; the same where it is not said. */
      readonly longAmplitude?: number;
      readonly originalContext: number;
    }
  /** The first pairs turn as those of a whole head do, the others not at all (Gemma 4). */
  | { readonly kind: "proportional"; readonly turning: number; readonly factor: number };

export interface RotarySpec {
  readonly theta: number;
  readonly scaling: RotaryScaling;
  /** Channels of a head that turn, its first ones. */
  readonly width: number;
  /** Which channels turn together: those of the first half with those of the second, or neighbours. */
  readonly pairs: "halves" | "neighbours";
  /** How many pairs turn by the place in time, in height and in width of an image; of text all three are the position. */
  readonly sections?: readonly number[];
}

/**
 * Queries at position `p`, from 0 on, are multiplied by `1 + scale ln(1 + floor((p + first) / floor))`, so that scores stay as sharp
 * among many keys (Scalable-Softmax, arXiv 2501.19399, as Llama 4 and Ministral 3 have it).
 */
export interface TemperatureSpec {
  /** What the first position counts as. */
  readonly first: 0 | 1;
  readonly floor: number;
  readonly scale: number;
}

/** Causal softmax attention. */
export interface AttentionSpec {
  readonly kind: "softmax";
  readonly heads: number;
  /** Heads of keys and values; `heads` is a multiple of it. */
  readonly kvHeads: number;
  readonly headDim: number;
  readonly qkvBias: boolean;
  readonly outBias: boolean;
  readonly qNorm: HeadNormSpec | null;
  readonly kNorm: HeadNormSpec | null;
  readonly vNorm: HeadNormSpec | null;
  /** Norms of queries and keys, over each head, are behind their positions; absent where they are before them. */
  readonly normsBehindPositions?: true;
  /** Values are what the Linear of the keys gives, before norm and positions. */
  readonly valuesAreKeys: boolean;
  /** Half of what the Linear of the queries gives, head by head, is a gate: its sigmoid multiplies the mixed values. */
  readonly outputGate: boolean;
  /** RMS norms without gains over each head of queries and keys, behind their positions; absent without. */
  readonly positionedNorm?: NormSpec;
  /** Tokens that a token sees, itself included; null for all before it. */
  readonly slidingWindow: number | null;
  /** Tokens lie in chunks of so many, and a token sees those of its own; absent where it does not. */
  readonly chunk?: number;
  /** Queries grow with their position; absent where they do not. */
  readonly temperature?: TemperatureSpec;
  /** Null where positions do not turn queries and keys. */
  readonly rotary: RotarySpec | null;
  /** Scores fall linearly with the distance, each head by its own slope (ALiBi, arXiv 2108.12409). */
  readonly alibi: boolean;
  /** Factor of the scores. */
  readonly scale: number;
  /** `softcap * tanh(scores / softcap)`; null for scores as they are. */
  readonly softcap: number | null;
  /** A stored score of each head that takes part in the softmax and carries no value. */
  readonly sinks: boolean;
}

/** Latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1). */
export interface LatentAttentionSpec {
  readonly kind: "latent";
  readonly heads: number;
  /** Width of the latent of the queries; null where their Linear reads the stream. */
  readonly queryRank: number | null;
  /** Width of the latent of keys and values. */
  readonly rank: number;
  /** Channels of a head's queries and keys without positions, and with; those keys are shared by all heads. */
  readonly plainDim: number;
  readonly rotaryDim: number;
  readonly valueDim: number;
  readonly bias: boolean;
  readonly norm: NormSpec;
  readonly rotary: RotarySpec;
  readonly scale: number;
}

/** Gated delta net (arXiv 2412.06464) with a short causal convolution before it. */
export interface DeltaNetSpec {
  readonly kind: "delta";
  readonly keyHeads: number;
  /** A multiple of `keyHeads`. */
  readonly valueHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  /** Positions that the convolution sees. */
  readonly kernel: number;
  /** Behind the convolution. */
  readonly activation: PlainActivation;
  /** Two Linears for `q, k, v, z` and `b, a`, head by head, in place of four. */
  readonly fusedInputs: boolean;
  /** Over each head of the output, with gains; its gate is `silu(z)`. */
  readonly norm: NormSpec;
}

/** A gated short convolution (LFM2): `c * conv(b * x)`, each channel by itself, of three parts of what one Linear gives. */
export interface ShortConvolutionSpec {
  readonly kind: "convolution";
  readonly channels: number;
  /** Positions that it sees, the present one included. */
  readonly kernel: number;
  /** Of both Linears and of the convolution. */
  readonly bias: boolean;
}

export type MixerSpec = AttentionSpec | LatentAttentionSpec | DeltaNetSpec | ShortConvolutionSpec;

/** `xielu` has numbers that are learnt, which lie beside the Linears of its block. */
export type Activation = "silu" | "relu" | "relu2" | "gelu" | "gelu_tanh" | "xielu";

/** Those that are formulas alone. */
export type PlainActivation = Exclude<Activation, "xielu">;

/** An MLP that every token passes. `gated`: `down(act(gate(x)) * up(x))`; `plain`: `down(act(up(x)))`. */
export interface DenseMlpSpec {
  readonly kind: "gated" | "plain";
  readonly activation: Activation;
  readonly bias: boolean;
  /** Channels inside. */
  readonly width: number;
}

export type MlpSpec = DenseMlpSpec | ExpertsSpec;

/** One block of a decoder. Blocks of a network may differ in all of it. */
export interface BlockSpec {
  /** `sequential`: the MLP reads the stream behind attention; `parallel`: both read what the block is given. */
  readonly arrangement: "sequential" | "parallel";
  /**
   * Those that it has. A parallel block without `mlpNorm` gives its MLP what attention reads; any other sublayer without a norm
   * before it reads the stream itself.
   */
  readonly norms: Readonly<Partial<Record<NormRole, NormSpec>>>;
  readonly attention: MixerSpec;
  readonly mlp: MlpSpec;
  /** Factor of what each sublayer adds to the stream. */
  readonly residualMultiplier: number;
  /** What the block gives is multiplied by a stored number. */
  readonly outputScalar: boolean;
}
