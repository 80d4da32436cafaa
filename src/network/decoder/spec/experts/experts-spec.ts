import type { DenseMlpSpec, PlainActivation } from "../block-spec.js";

/** How the experts of a token are chosen, and what each of them counts. */
export interface RouterSpec {
  /**
   * What the logits become: `softmax` over all experts, `sigmoid` of each, or `chosen-softmax`: experts are chosen by their
   * logits, and the softmax is over those that are; `sparse-mixer`: one after the other, each by a softmax over those that are not
   * chosen yet and are within `tolerance` of the best.
   */
  readonly scores: "softmax" | "sigmoid" | "chosen-softmax" | "sparse-mixer";
  /** Of `sparse-mixer`: twice this, as a share of the larger of both, is how far a logit may be from the best. */
  readonly tolerance?: number;
  /** A stored number is added to the score of every expert, for the choice alone. */
  readonly correction: boolean;
  /** That correction is stored as `[1, experts]`. */
  readonly correctionRow?: true;
  /** The router's Linear has a bias. */
  readonly bias: boolean;
  /** Experts lie in groups of one size, of which a token's come from the best; null without groups. */
  readonly groups: RouterGroups | null;
  /** The weights of a token's experts are divided by their sum, plus `epsilon`; null where they stay. */
  readonly normalised: { readonly epsilon: number } | null;
  /** Factor of the weights. */
  readonly scaling: number;
  /**
   * The router reads the stream itself, after an RMS norm without gains, times a stored vector and `hidden^-1/2` (Gemma 4);
   * otherwise what the experts read.
   */
  readonly readsStream: boolean;
  /** Of that norm. */
  readonly eps: number;
  /** A stored factor of the weight of every expert. */
  readonly expertScale: boolean;
}

/** Groups of experts that a token may choose from (DeepSeek-V2, arXiv 2405.04434, section 2.2). */
export interface RouterGroups {
  readonly count: number;
  readonly kept: number;
  /** What a group counts: its best score, or its two best. */
  readonly by: "best" | "two-best";
}

/** An MLP of which every token passes a few out of many. Experts are gated: `down(act(gate(x)) * up(x))`. */
export interface ExpertsSpec {
  readonly kind: "experts";
  readonly activation: PlainActivation;
  /**
   * In place of the activation: `gate sigmoid(alpha gate) (up + 1)`, with gates of at most `limit` and ups within it (gpt-oss);
   * null for the plain product.
   */
  readonly clamped: { readonly limit: number; readonly alpha: number } | null;
  /** Channels inside one expert. */
  readonly width: number;
  readonly count: number;
  /** Experts that compute one token. */
  readonly perToken: number;
  readonly bias: boolean;
  readonly router: RouterSpec;
  /** The weight of an expert multiplies what it reads, not what it gives (Llama 4). */
  readonly weighsInput: boolean;
  /** An MLP beside them that every token passes; null without one. */
  readonly shared: SharedExpertSpec | null;
  /** A dense MLP with norms of its own, to whose output theirs is added (Gemma 4); null without one. */
  readonly beside: DenseMlpSpec | null;
}

export interface SharedExpertSpec {
  readonly width: number;
  readonly bias: boolean;
  /** The sigmoid of a Linear with one output multiplies what it gives. */
  readonly gate: boolean;
}

/** How a checkpoint stores the experts of a block. Names are within a block. */
export type StoredExperts =
  /** One module for each Linear of each expert; `{expert}` stands for its number. */
  | { readonly kind: "each"; readonly gate: string; readonly up: string; readonly down: string }
  /** One tensor `[experts, 2 * width, hidden]` for gates and ups, and one `[experts, hidden, width]`; names are in full. */
  | {
      readonly kind: "stacked";
      readonly gateUp: string;
      readonly down: string;
      readonly biases?: { readonly gateUp: string; readonly down: string };
      /** The last two dimensions of the weights are swapped. */
      readonly transposed: boolean;
      /** All rows of the gate and then those of up, or one row of each in turn. */
      readonly rows: "halves" | "pairs";
    };

/** The Linears of a mixture of experts; those of the experts have the rows of all of them, stacked. */
export type ExpertsRole =
  | "router"
  | "expertGate"
  | "expertUp"
  | "expertDown"
  | "sharedGate"
  | "sharedUp"
  | "sharedDown"
  | "sharedExpertGate";

/** Stored tensors of a router that are no Linears. */
export type RouterTensorRole = "routerCorrection" | "routerScale" | "expertScale";
