import type { NormSpec, TensorNames } from "../spec/decoder-spec.js";

/** A fact that a family fixes, or the key of `config.json` that holds it. */
export type Fact<T> = T | { readonly key: string; readonly default: T };

/** Where a configuration tells of a sliding window. */
export interface SlidingWindowKeys {
  readonly key: string;
  /** What the absent key means; a null in the configuration means no window. */
  readonly default: number;
  /** The switch that must be true for a window, and the keys that say which blocks have it. */
  readonly perBlock?: {
    readonly enabledBy: string;
    /** The first block with a window; ignored where `types` is given. */
    readonly first: { readonly key: string; readonly default: number };
    /** A list with `sliding_attention` or `full_attention` for every block. */
    readonly types: string;
  };
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
  };
  /** What the family's configuration class in transformers takes for a key that `config.json` leaves out. */
  readonly defaults: {
    readonly activation: string;
    readonly maxPositions: number;
    /** Null: as many as heads, which is also what a null in the configuration means. */
    readonly kvHeads: number | null;
    /** Null: hidden size over heads. */
    readonly headDim: number | null;
  };
  readonly norm: { readonly kind: NormSpec["kind"]; readonly eps: Fact<number> };
  readonly positions: "rotary" | { readonly learnedOffset: number };
  readonly attention: {
    readonly qkvBias: Fact<boolean>;
    readonly outBias: Fact<boolean>;
    readonly qkNorm: boolean;
    /** Null for families without a window, whatever their configuration says. */
    readonly slidingWindow: SlidingWindowKeys | null;
  };
  readonly mlp: { readonly kind: "gated" | "plain"; readonly bias: Fact<boolean> };
  readonly tied: Fact<boolean>;
  readonly names: TensorNames;
  /** Values that the configuration must have, for variants that the decoder does not compute. */
  readonly requires?: Readonly<Record<string, boolean | string>>;
  /** Pairs of keys that must be equal where both are present. */
  readonly equal?: readonly (readonly [string, string])[];
}
