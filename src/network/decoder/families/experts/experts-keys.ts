import type { RouterSpec, StoredExperts } from "../../spec/experts/experts-spec.js";
import type { Fact } from "../family.js";

/** Which blocks of a family have experts; the others have its dense MLP. */
export type BlocksWithExperts =
  | "all"
  /** Those from one on. */
  | { readonly from: Fact<number> }
  /** Those that a list calls `sparse`, the others being `dense`; without the list those from one on. */
  | { readonly types: string; readonly from: Fact<number> }
  /** The last of every n, but for those that a list names. */
  | { readonly lastOf: Fact<number>; readonly except?: string }
  /** The last of every n from one block to another; -1 is the last of all. */
  | { readonly lastOf: Fact<number>; readonly between: { readonly first: Fact<number>; readonly last: Fact<number> } }
  /** Those that a list names; without the list the last of every n. */
  | { readonly listed: string; readonly lastOf: Fact<number> };

/** Where a configuration tells of a mixture of experts. */
export interface ExpertsKeys {
  /** The switch that must be true for one; there is one where it is not said. */
  readonly enabledBy?: string;
  readonly blocks: BlocksWithExperts;
  /** Keys of the number of experts, of which a configuration has one. */
  readonly count: readonly string[];
  readonly perToken: { readonly key: string; readonly default: number };
  /** Channels inside an expert. */
  readonly width: { readonly key: string; readonly default: number };
  readonly clamped?: { readonly limit: Fact<number>; readonly alpha: Fact<number> };
  readonly bias?: boolean;
  readonly router: {
    readonly scores: RouterSpec["scores"];
    /** `row`: stored as `[1, experts]`. */
    readonly correction?: Fact<boolean> | "row";
    /** Of the scores of SparseMixer: how far behind the best a logit may be, as a share, to count beside it. */
    readonly tolerance?: Fact<number>;
    readonly bias?: boolean;
    readonly groups?: {
      readonly count: Fact<number>;
      readonly kept: Fact<number>;
      readonly by: "best" | "two-best";
      /** The key whose value says that there are groups. */
      readonly where?: { readonly key: string; readonly value: string };
    };
    readonly normalised: Fact<boolean>;
    /** Added to the sum that the weights are divided by. */
    readonly epsilon?: number;
    readonly scaling?: Fact<number>;
    /** It reads the stream, after a norm of its own. */
    readonly readsStream?: boolean;
    readonly expertScale?: boolean;
  };
  readonly weighsInput?: boolean;
  /** An MLP beside the experts, as wide as the number under `width` says, `times` another one. */
  readonly shared?: {
    readonly width: { readonly key: string; readonly default: number };
    readonly times?: Fact<number>;
    readonly gate: boolean;
    readonly bias?: Fact<boolean>;
  };
  /** The dense MLP stands beside the experts, each with norms of its own (Gemma 4). */
  readonly besideDense?: boolean;
  /** The key of the width of a dense MLP, where it is not the family's. */
  readonly denseWidth?: { readonly key: string; readonly default: number };
  /** How checkpoints store them; the first form that one has counts. */
  readonly stored: readonly StoredExperts[];
  /** The modules that a quantized folder has for them. */
  readonly each: EachExpert;
}

/** Modules of single experts. */
export type EachExpert = Extract<StoredExperts, { readonly kind: "each" }>;
