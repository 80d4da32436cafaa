import { noGrad, scope, type Tensor } from "../../tensor/index.js";
import { type Codes, dequantize, storableScale } from "../grid/grid.js";
import type { SecondMoments } from "../second-moments.js";

/**
 * Fits the scales once more to codes that were chosen: group by group the one that loses least of the output,
 * `s += Q H (W - W^)^T / (Q H Q^T)`, where `Q` are the distances of the codes of a row's group from its zero point. A scale that no
 * longer helps once it is rounded as it is stored stays as it was.
 * Source: TurboBoA's last step, for one group per row; the sweep over groups is ours.
 *
 * @param weight fp32 `[out, in]`
 */
export function refitScales(weight: Tensor, codes: Codes, moments: SecondMoments): Codes {
  return noGrad(() =>
    scope(() => {
      const { groupSize } = codes;
      const { matrix } = moments;
      const scale = codes.scale.clone();
      // `(W - W^) H`, kept up to date.
      const slope = weight.sub(dequantize(codes)).matmul(matrix);
      for (let group = 0; group * groupSize < weight.size(1); group++) {
        scope(() => {
          const first = group * groupSize;
          const own = scale.select(1, group);
          const distances = codes.codes.narrow(1, first, groupSize).sub(codes.zeroPoint.select(1, group));
          const along = distances.matmul(matrix.narrow(0, first, groupSize));
          const curvature = along.narrow(1, first, groupSize).mul(distances).sum(1, true);
          const pull = slope.narrow(1, first, groupSize).mul(distances).sum(1, true);
          const fitted = storableScale(own.add(pull.div(curvature.clamp(1e-30))));
          const step = fitted.sub(own);
          // What the loss falls by: 2 step pull - step^2 curvature.
          const helps = pull.mul(2).sub(step.mul(curvature)).mul(step).gt(0).to("float32");
          const taken = step.mul(helps);
          own.add_(taken);
          slope.sub_(along.mul(taken));
        });
      }
      return { ...codes, scale };
    }),
  );
}
