import { keep, Tensor } from "../../tensor/index.js";
import type { Grid } from "../grid/grid.js";
import { SoftRounding } from "./soft-rounding.js";

/**
 * AdaRound with one variable per weight: `w = s (clip(B + h(V0 + V) + z, 0, 2^b - 1) - z)`.
 * Source: Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization" (arXiv 2004.10568).
 */
export function adaRound(weight: Tensor, grid: Grid): SoftRounding {
  const V = keep(Tensor.zeros(weight.shape, { device: weight.device })).requiresGrad_();
  return new SoftRounding(weight, grid, { left: null, right: V });
}
