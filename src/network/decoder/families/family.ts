import type { JsonObject } from "../../../checkpoint/json/json.js";
import type { FusedLinears, LinearRole, NormSpec, TensorNames } from "../spec/decoder-spec.js";
import type { ExpertsKeys } from "./experts/experts-keys.js";

/** A fact that a family fixes, or the key of `config.json` that holds it. */
export type Fact<T> = T | { readonly key: string; readonly default: T };

/** What a block's attention is, in the words of `layer_types`. */
export type BlockKind = "full_attention" | "sliding_attention" | "chunked_attention" | "linear_attention" | "conv";

/** Where a configuration tells which kind each block is of. */
export interface BlockKindKeys {
  /** A list with one kind for every block. */
  readonly types: string;
  /** The kinds that the family has. */
  readonly known: readonly BlockKind[];
  /**
   * Without the list: blocks from one on are of `kind`, or all but every n-th, or those with rotary positions, or those that another
   * list, of full ones, does not name, or all but the first of every n; the others are full.
   */
  readonly absent:
    | { readonly rotated: true; readonly kind: BlockKind }
    | { readonly fullListed: string; readonly kind: BlockKind }
    | { readonly fullFirstOf: number; readonly kind: BlockKind }
    | { readonly from: Fact<number>; readonly kind: BlockKind }
    | { readonly allBut: Fact<number>; readonly kind: BlockKind };
  /** The last block is full whatever the list says. */
  readonly lastIsFull?: boolean;
}

/** Where a configuration tells of a sliding window, which blocks of the kind `sliding_attention` have. */
export interface SlidingWindowKeys {
  readonly key: string;
  /** What the absent key means; a null in the configuration means no window. */
  readonly default: number | null;
  /** The switch that must be true for a window. */
  readonly enabledBy?: string;
}

/** What the rotary positions of one kind of block are where the configuration does not say. */
export interface KindRotary {
  /** The key beside `rope_parameters` that older configurations have for the base; absent where there are none. */
  readonly thetaKey?: string;
  readonly theta: number;
  /** `rope_scaling`, which older configurations have, is of these blocks. */
  readonly scaled: boolean;
  readonly type?: string;
  readonly partial?: number;
}

export interface RotaryKeys {
  /** What a configuration without `rope_parameters` means, where that is more than a base. */
  readonly absent?: JsonObject;
  /** The key of a factor that stretches the base of positions that are called dynamic, for every context alike. */
  readonly stretchedBase?: string;
  /** `original_max_position_embeddings` where the configuration has none; its longest context where it is not said. */
  readonly originalContext?: number;
  /** Keys among the rotary parameters of LongRoPE's amplitudes, up to the original context and beyond it. */
  readonly longRopeAmplitudes?: { readonly short: string; readonly long: string };
  /** Older configurations say `yarn` of LongRoPE. */
  readonly yarnIsLongRope?: boolean;
  /** Positions may have parts for images (`mrope`), which are alike for text. */
  readonly multimodal?: boolean;
  /** Which channels turn together; the first half with the second where it is not said. */
  readonly pairs?: "halves" | "neighbours" | { readonly neighboursBy: Fact<boolean> };
  /** The share of a head that turns; a family without it turns all of it and refuses another share. */
  readonly partial?: { readonly key: string; readonly default: number };
  /** The key of how many channels turn, where older configurations say that in place of a share. */
  readonly widthKey?: string;
  /** The base where the configuration has none: 10,000 where it is not said. */
  readonly theta?: number;
  /** The key of the base in older configurations: `rope_theta` where it is not said. */
  readonly thetaKey?: string;
  /** Families whose kinds of blocks have positions of their own. */
  readonly kinds?: Readonly<Partial<Record<BlockKind, KindRotary>>>;
  /**
   * Blocks that have rotary positions at all: those with a window (where `unlessNone`, all of them in a network without a window),
   * or those with a 1 in a list; without the list all but every n-th.
   */
  readonly where?:
    | { readonly kind: "sliding"; readonly unlessNone: boolean }
    | { readonly kind: "listed"; readonly list: string; readonly allBut: Fact<number> };
}

/** A model family: which kinds it is made of, and where its configuration says the rest. */
export interface Family {
  /** `model_type` in `config.json`. */
  readonly modelType: string;
  readonly keys: {
    readonly hiddenSize: string;
    readonly intermediateSize: string;
    readonly blocks: string;
    readonly heads: string;
    /** Null where there are as many as heads. */
    readonly kvHeads: string | null;
    /** Null where it is always the hidden size over the heads. */
    readonly headDim: string | null;
    readonly activation: string;
    /** `max_position_embeddings` where it is not said. */
    readonly maxPositions?: string;
  };
  /** What the configuration calls activations that are others by their usual names. */
  readonly activationNames?: Readonly<Record<string, string>>;
  /** What the family's configuration class in transformers takes for a key that `config.json` leaves out. */
  readonly defaults: {
    readonly activation: string;
    readonly maxPositions: number;
    /** Null: as many as heads, which is also what a null in the configuration means. */
    readonly kvHeads: number | null;
    /** Null: hidden size over heads. */
    readonly headDim: number | null;
    /** Width of the MLP over the hidden size; without it the key must be there. */
    readonly widening?: number;
  };
  /** Sizes that the class takes where a model of images and text leaves them out of its `text_config`. */
  readonly sizes?: Readonly<Record<string, number>>;
  /** Of every norm on the stream, and the gains of those over heads. */
  readonly norm: {
    readonly kind: NormSpec["kind"];
    readonly eps: Fact<number>;
    /** The stored gains where it is not said. */
    readonly gain?: NormSpec["gain"];
    /** Of LayerNorms; true where it is not said. */
    readonly bias?: boolean;
  };
  /** Sequential where it is not said; with a key, parallel where that is true. */
  readonly arrangement?: "sequential" | "parallel" | { readonly key: string; readonly default: boolean };
  readonly positions: "rotary" | "alibi" | { readonly learnedOffset: number };
  readonly rotary?: RotaryKeys;
  /** Families whose blocks may differ in kind. */
  readonly kinds?: BlockKindKeys;
  readonly attention: {
    readonly qkvBias: Fact<boolean>;
    readonly outBias: Fact<boolean>;
    /** An RMS norm over each head of queries and keys, or over all heads together. */
    readonly qkNorm: false | "head" | "heads" | { readonly key: string; readonly default: boolean };
    /** Those norms are behind the positions. */
    readonly normsBehindPositions?: boolean;
    /** RMS norms without gains over each head of queries and keys behind their positions, in blocks that have these. */
    readonly positionedNorm?: Fact<boolean>;
    /** The key of the tokens in a chunk, which blocks of the kind `chunked_attention` see; a null makes these full. */
    readonly chunk?: { readonly key: string; readonly default: number };
    /** Queries of blocks without rotary positions grow with their position; or those of all, by numbers among the rotary parameters. */
    readonly temperature?:
      | { readonly enabledBy: Fact<boolean>; readonly floor: Fact<number>; readonly scale: Fact<number> }
      | { readonly rotary: true; readonly floor: string; readonly scale: string };
    /** A stored score of each head takes part in the softmax. */
    readonly sinks?: boolean;
    /** An RMS norm without gains over each head of the values. */
    readonly valueNorm?: boolean;
    /** Half of what the Linear of the queries gives is a gate. */
    readonly outputGate?: boolean;
    /** Null for families without a window, whatever their configuration says. */
    readonly slidingWindow: SlidingWindowKeys | null;
    /** Factor of the scores where it is not one over the root of a head's width: a number, or its inverse square root. */
    readonly scale?: { readonly fact: Fact<number>; readonly inverseRoot?: boolean; readonly absentIsRoot?: boolean };
    readonly softcap?: { readonly key: string; readonly default: number | null };
    /** What blocks of the kind `full_attention` have in place of the others' numbers. */
    readonly full?: {
      readonly headDim: { readonly key: string; readonly default: number };
      /** Read where `valuesAreKeys`. */
      readonly kvHeads: string;
      readonly valuesAreKeys: Fact<boolean>;
    };
    /** The key of an object with other `head_dim` and `num_key_value_heads` for single blocks. */
    readonly perBlock?: string;
  };
  /** Attention is latent: queries, keys and values come through narrow inputs, of these widths where the configuration does not say. */
  readonly latent?: Readonly<Record<"queryRank" | "rank" | "plainDim" | "rotaryDim" | "valueDim", number>>;
  /** What blocks of the kind `linear_attention` are. */
  readonly delta?: { readonly fusedInputs: boolean };
  /** What blocks of the kind `conv` are. */
  readonly convolution?: { readonly kernel: Fact<number>; readonly bias: Fact<boolean> };
  readonly mlp: {
    readonly kind: "gated" | "plain";
    readonly bias: Fact<boolean>;
    /** Two thirds of the width that the configuration says, times a factor, up to a multiple, where the switch is on. */
    readonly narrowed?: {
      readonly enabledBy: Fact<boolean>;
      readonly factor: { readonly key: string; readonly default: number };
      readonly multiple: Fact<number>;
    };
  };
  /** Blocks that have experts in place of that MLP, or beside it. */
  readonly experts?: ExpertsKeys;
  /** Factors of a token's vector (or the root of the hidden size), of what a sublayer adds, and of the logits, or what these are divided by. */
  readonly multipliers?: {
    readonly embedding?: Fact<number> | "rootOfHiddenSize";
    readonly residual?: Fact<number>;
    readonly logits?: Fact<number>;
    readonly logitsDivisor?: Fact<number>;
  };
  /** A cap of the logits. */
  readonly softcap?: { readonly key: string; readonly default: number | null };
  readonly headBias?: Fact<boolean>;
  readonly tied: Fact<boolean>;
  readonly names: TensorNames;
  readonly stored?: { readonly fused?: readonly FusedLinears[]; readonly transposed?: readonly LinearRole[] };
  /** Keys that older configurations have for others, and that count where they are there. */
  readonly olderKeys?: Readonly<Record<string, string>>;
  /** Values that the configuration must have, for variants that the decoder does not compute. */
  readonly requires?: Readonly<Record<string, Required>>;
  /** Pairs of keys that must be equal where both are present. */
  readonly equal?: readonly (readonly [string, string])[];
}

type Value = boolean | string | number;

/** A value, or one of several; an absent key or a null is fine unless the class takes another value for it. */
export type Required = Value | { readonly oneOf: readonly Value[]; readonly absent?: Value };
