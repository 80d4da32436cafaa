import type { Tensor } from "../../tensor/index.js";
import type { Codes } from "../grid.js";

/** What a weight's rounding trains, by the learning rate it takes. */
export interface RoundingParameters {
  readonly rounding: readonly Tensor[];
  readonly scale: readonly Tensor[];
  readonly zeroPoint: readonly Tensor[];
}

/** A way to learn how one weight is rounded: soft and differentiable while trained, then hardened. */
export interface Rounding {
  readonly parameters: RoundingParameters;
  /** The weight `[out, in]` as the quantized network sees it while trained, fp32, differentiable. */
  weight(): Tensor;
  /** The term that drives soft roundings to 0 or 1, a scalar; null for roundings that are hard already. */
  regulariser(beta: number): Tensor | null;
  /** Puts parameters back into their bounds after a step of the optimiser. */
  project(): void;
  /** The codes chosen, with scales that every export stores exactly. */
  harden(): Codes;
  dispose(): void;
}
