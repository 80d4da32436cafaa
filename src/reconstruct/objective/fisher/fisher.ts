import type { Tensor } from "../../../tensor/index.js";

/**
 * What the error of an output's every number counts, of the gradient `g` of the network's loss in it:
 *
 * - `squared`: `g^2`, the diagonal of the Fisher information (equation 10), here over its mean `meanSquare`: gradients are small
 *   numbers, and the weight of the rounding penalty would mean something else in every network;
 * - `damped`: `(|g| + 1)^2`, what the released code computes. The 1 is explained nowhere; where gradients are far below it the
 *   loss is the plain squared error.
 *
 * Source: BRECQ (arXiv 2102.05426), section 3.2.
 */
export function fisherWeight(gradient: Tensor, kind: "squared" | "damped", meanSquare = 1): Tensor {
  return kind === "squared" ? gradient.square().div(Math.max(meanSquare, 1e-30)) : gradient.abs().add(1).square();
}
