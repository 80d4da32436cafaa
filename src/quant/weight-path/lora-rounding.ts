import { keep, scope, Tensor } from "../../tensor/index.js";
import type { Grid } from "../grid/grid.js";
import { SoftRounding } from "./soft-rounding.js";

/**
 * LoRA-Rounding: `w = s (clip(B + h(V0 + A1 A2) + z, 0, 2^b - 1) - z)` with `A1 [out, r]` and
 * `A2 [r, in]`. `A2` starts at zero, so training starts at the weight itself; two matrices of rank
 * `r` are learnt in place of one `V [out, in]`.
 * Source: CBQ (arXiv 2312.07950), section 3.3.
 */
export function loraRounding(weight: Tensor, grid: Grid, rank: number): SoftRounding {
  const [out, columns] = [weight.size(0), weight.size(1)];
  const { device } = weight;
  // Columns of A1 of unit length, so that a step of A2 moves V as far at every width and rank. Drawn on the CPU, whose
  // generator gives the same for every device.
  const A1 = keep(
    scope(() =>
      Tensor.randn([out, rank])
        .mul_(1 / Math.sqrt(rank))
        .to(device),
    ),
  ).requiresGrad_();
  const A2 = keep(Tensor.zeros([rank, columns], { device })).requiresGrad_();
  return new SoftRounding(weight, grid, { left: A1, right: A2 });
}
