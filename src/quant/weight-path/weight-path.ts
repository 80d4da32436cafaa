import type { DType, Tensor } from "../../tensor/index.js";
import type { Codes } from "../grid/grid.js";
import type { Parameter } from "../parameter.js";

/**
 * The term that drives soft roundings to 0 or 1, fp32 `[2]` beside the weight: its weight in the loss, for the mean over
 * this Linear, 0 for none; and its exponent: large ones pull only what is nearly decided. A tensor, because both change
 * with every step.
 */
export type RoundingPenalty = Tensor;

/** From a stored weight and trained parameters to the weight of the quantized network: differentiable, then hardened. */
export interface WeightPath {
  readonly parameters: readonly Parameter[];
  /** Whether `weight` heeds a rounding penalty: false for paths whose rounds are hard already. */
  readonly hasPenalty: boolean;
  /** Whether its weights may grow to several times what they began with; they may not where this is left out. */
  readonly grows?: true;
  /**
   * The weight `[out, in]` as the quantized network sees it while trained, in `dtype` (fp32 unless given),
   * differentiable. The gradient of `penalty` joins what arrives at its parameters.
   */
  weight(penalty?: RoundingPenalty | null, dtype?: DType): Tensor;
  /** The codes chosen, with scales that every export stores exactly. */
  harden(): Codes;
  dispose(): void;
}
