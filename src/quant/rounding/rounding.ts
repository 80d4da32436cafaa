import type { Tensor } from "../../tensor/index.js";
import type { Codes } from "../grid.js";

/** What a weight's rounding trains, by the learning rate it takes. */
export interface RoundingParameters {
  readonly rounding: readonly Tensor[];
  readonly scale: readonly Tensor[];
  readonly zeroPoint: readonly Tensor[];
}

/** The term that drives soft roundings to 0 or 1. */
export interface Commitment {
  /** Its weight in the loss, for the mean over this Linear. */
  readonly weight: number;
  /** Exponent: large ones pull only what is nearly decided. */
  readonly beta: number;
}

/** A way to learn how one weight is rounded: soft and differentiable while trained, then hardened. */
export interface Rounding {
  readonly parameters: RoundingParameters;
  /** Whether `weight` heeds a commitment: false for roundings that are hard already. */
  readonly commits: boolean;
  /**
   * The weight `[out, in]` as the quantized network sees it while trained, fp32, differentiable. The gradient of
   * `commitment` joins what arrives at its parameters.
   */
  weight(commitment?: Commitment | null): Tensor;
  /** Puts parameters back into their bounds after a step of the optimiser. */
  project(): void;
  /** The codes chosen, with scales that every export stores exactly. */
  harden(): Codes;
  dispose(): void;
}
