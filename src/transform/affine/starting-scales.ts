import { linearOf, type Site, type UnitWeights } from "../../network/index.js";
import { noGrad, scope, Tensor } from "../../tensor/index.js";
import type { ChannelExtremes } from "../cfp/fold-outliers.js";
import { asProduced } from "../scale-site.js";

/** How far from their geometric mean scales may be: a gain has to hold them. */
const FARTHEST = 1e3;

/**
 * What the channels of a site are divided by before anything is trained, fp32 `[produced channels]`: `m_c^p / w_c^(1-p)`, where `m_c`
 * is the largest magnitude of the channel and `w_c` that of the weights that read it, over the geometric mean of all.
 * Source: AffineQuant (arXiv 2403.12544), where it is the diagonal that training begins at. Released code takes the largest weight with
 * its sign, which is small where the weights of a column are mostly negative; this is its magnitude.
 */
export function startingScales(
  weights: UnitWeights,
  { consumers, passes }: Site,
  { minimum, maximum }: ChannelExtremes,
  exponent: number,
): Tensor {
  const largest = (read: Tensor): Tensor => asProduced(passes, read, (byHead) => byHead.amax(1));
  return noGrad(() =>
    scope(() => {
      const seen = largest(maximum.maximum(minimum.neg()));
      const columns = consumers.map((name) => linearOf(weights, name).weight.abs().amax(0));
      const read = largest(columns.reduce((a, b) => a.maximum(b)));
      const logarithm = seen
        .clamp(1e-8)
        .log()
        .mul(exponent)
        .sub(
          read
            .clamp(1e-8)
            .log()
            .mul(1 - exponent),
        );
      // A channel that is always 0, or that nobody reads, says nothing.
      const telling = seen.gt(0).mul(read.gt(0)).to("float32");
      const mean = logarithm.mul(telling).sum().div(telling.sum().clamp(1));
      const bound = Math.log(FARTHEST);
      return Tensor.where(telling.gt(0), logarithm.sub(mean).clamp(-bound, bound), telling).exp();
    }),
  );
}
