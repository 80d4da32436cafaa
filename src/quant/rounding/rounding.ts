import type { Bounds, DType, Tensor } from "../../tensor/index.js";
import type { Codes } from "../grid.js";

/** What a weight's rounding trains, by the learning rate it takes. */
export interface RoundingParameters {
  readonly rounding: readonly Tensor[];
  readonly scale: readonly Tensor[];
  readonly zeroPoint: readonly Tensor[];
}

/**
 * The term that drives soft roundings to 0 or 1, fp32 `[2]` beside the weight: its weight in the loss, for the mean over
 * this Linear, 0 for none; and its exponent: large ones pull only what is nearly decided. A tensor, because both change
 * with every step.
 */
export type Commitment = Tensor;

/** A way to learn how one weight is rounded: soft and differentiable while trained, then hardened. */
export interface Rounding {
  readonly parameters: RoundingParameters;
  /** Whether `weight` heeds a commitment: false for roundings that are hard already. */
  readonly commits: boolean;
  /** What the optimiser keeps parameters within. */
  readonly bounds: Readonly<Partial<Record<keyof RoundingParameters, Bounds>>>;
  /**
   * The weight `[out, in]` as the quantized network sees it while trained, in `dtype` (fp32 unless given),
   * differentiable. The gradient of `commitment` joins what arrives at its parameters.
   */
  weight(commitment?: Commitment | null, dtype?: DType): Tensor;
  /** The codes chosen, with scales that every export stores exactly. */
  harden(): Codes;
  dispose(): void;
}
