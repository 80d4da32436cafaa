import type { UnitWeights } from "../network/index.js";
import type { Parameter } from "../quant/parameter.js";
import type { Tensor } from "../tensor/index.js";

/**
 * What is trained between what makes the values of a unit and what reads them. Whatever its parameters are, the unit that it
 * gives computes the function of the one that it was made for; how well it can be quantized is what differs.
 */
export interface UnitTransform {
  readonly parameters: readonly Parameter[];
  /** Names of the Linears whose weights it changes. */
  readonly linears: readonly string[];
  /**
   * The weight of one of those, fp32 `[out, in]`, differentiable in the parameters.
   *
   * @param weight the Linear's own, fp32
   */
  weight(linear: string, weight: Tensor): Tensor;
  /**
   * The norms and biases that it changes, fp32, differentiable, with the values that they have once they are stored.
   *
   * @param weightOf own weights of the unit's Linears, fp32
   */
  vectors(weightOf: (linear: string) => Tensor): TransformedVectors;
  /** Takes what differs from epoch to epoch of its training, counted from 0. */
  enterEpoch(epoch: number, epochs: number): void;
  /** Back to the transform that changes nothing. */
  reset(): void;
  dispose(): void;
}

/** By the names of the unit's plan. */
export interface TransformedVectors {
  readonly norms: UnitWeights["norms"];
  readonly biases: ReadonlyMap<string, Tensor>;
  /** Matrices behind norms; those that are not here stay. */
  readonly matrices?: ReadonlyMap<string, Tensor>;
}
