import type { Tensor } from "../../tensor/index.js";
import { grouped } from "../grid/grid.js";
import type { SecondMoments } from "../second-moments.js";
import { inverseFactor } from "../solver/inverse-factor.js";

/**
 * Salience of every weight, fp32 `[out, in]`: `w_ij^2 / [H^-1]_jj^2`, or the released code's `w_ij^2 / U_jj^2`, where `H^-1 = U^T U`,
 * whose diagonal falls from the first column to the last, as GPTQ sees the columns.
 * Source: SliM-LLM (arXiv 2405.14917), equation 3.
 *
 * @param weight fp32 `[out, in]`
 * @param damping share of the mean diagonal that is added to `H`
 */
export function salience(weight: Tensor, moments: SecondMoments, damping: number, by: "inverse" | "factor"): Tensor {
  const { factor } = inverseFactor(moments.matrix.div(Math.max(1, moments.tokens)), damping);
  const diagonal = by === "inverse" ? factor.square().sum(0) : factor.diagonal();
  return weight.div(diagonal.reshape([1, diagonal.size(0)])).square();
}

/** The salience of every group of columns, the sum over its weights: section 3.2. */
export function groupSalience(perWeight: Tensor, groupSize: number): readonly number[] {
  return [...grouped(perWeight, groupSize).sum(2).sum(0).toFloat32Array()];
}

/**
 * Which weights stand out: 1 where the salience is more than two standard deviations from the group's mean, none where it has
 * no outlier.
 *
 * @param perWeight salience `[out, groups, groupSize]`
 */
export function salientWeights(perWeight: Tensor): Tensor {
  const centred = perWeight.sub(perWeight.mean(2, true));
  const deviation = centred.square().mean(2, true).sqrt().clamp(1e-30);
  return centred.abs().gt(deviation.mul(2)).to("float32");
}
