import type { NormSpec, TensorNames } from "../decoder-spec.js";

/** A fact that a family fixes, or the key of `config.json` that holds it. */
export type Fact<T> = T | { readonly key: string; readonly default: T };

/** A model family: which kinds it is made of, and where its configuration says the rest. */
export interface Family {
  /** `model_type` in `config.json`. */
  readonly modelType: string;
  readonly keys: {
    readonly hiddenSize: string;
    readonly intermediateSize: string;
    readonly blocks: string;
    readonly heads: string;
    /** Absent keys mean as many as heads. */
    readonly kvHeads: string | null;
    /** Null or absent in the configuration: hidden size over heads. */
    readonly headDim: string | null;
    readonly activation: string;
  };
  readonly norm: { readonly kind: NormSpec["kind"]; readonly eps: Fact<number> };
  readonly positions: "rotary" | { readonly learnedOffset: number };
  readonly attention: {
    readonly qkvBias: Fact<boolean>;
    readonly outBias: Fact<boolean>;
    readonly qkNorm: boolean;
    /** Key of the window and, where there is one, of its switch. */
    readonly slidingWindow: { readonly key: string; readonly enabledBy?: string } | null;
  };
  readonly mlp: { readonly kind: "gated" | "plain"; readonly bias: Fact<boolean> };
  readonly tied: Fact<boolean>;
  readonly names: TensorNames;
  /** Values that the configuration must have, for variants that the decoder does not compute. */
  readonly requires?: Readonly<Record<string, boolean | string>>;
  /** Pairs of keys that must be equal where both are present. */
  readonly equal?: readonly (readonly [string, string])[];
}
