import { type DType, keep, noGrad, scope, Tensor } from "../../../tensor/index.js";
import {
  type Codes,
  clampThrough,
  type Grid,
  grouped,
  roundThrough,
  roundToNearest,
  storableScaleThrough,
  ungrouped,
} from "../../grid/grid.js";
import { BINARY_STEPS, binaryCodes } from "../../grid/group-grid.js";
import type { Parameter } from "../../parameter.js";
import { levels } from "../../scheme.js";
import { noOffset, roundedWeight } from "../code-unit-round.js";
import type { RoundingPenalty, WeightPath } from "../weight-path.js";

/** Logits of the shares of its extremes that a group's range begins with, fp32 `[out, groups, 1]`. */
export interface ClipStart {
  readonly top: Tensor;
  readonly bottom: Tensor;
}

/** Shares that a range may begin with: a sigmoid has none of 1. */
const [LEAST_SHARE, MOST_SHARE] = [0.05, 0.995];

/** What OmniQuant's ranges begin with: sigmoid(4) of the extremes. */
export const PAPER_SHARE = 1 / (1 + Math.exp(-4));

/**
 * Learnable weight clipping (LWC): the range of each group is a trained share of what its weights reach,
 *
 *   h = sigmoid(gamma) max W,   l = sigmoid(beta) min W,   s = (h - l) / (2^b - 1),   z = -round(l / s),
 *
 * so that it follows a weight which a transform changes while both learn. On a symmetric grid the longer of h and -l takes the
 * code that has no counterpart. With one bit h and l are the two values themselves, and z is no whole number: `binaryRange`.
 * The weight itself is not trained here: `source` gives it anew for every step.
 * Source: OmniQuant (arXiv 2308.13137), equation 2, as AffineQuant (arXiv 2403.12544) trains it.
 */
export class ClippedWeight implements WeightPath {
  readonly hasPenalty = false;
  readonly grows = true;
  readonly parameters: readonly Parameter[];
  readonly #top: Tensor;
  readonly #bottom: Tensor;
  readonly #none: Tensor | null;

  /**
   * @param source the weight `[out, in]` now, fp32; differentiable in whatever it is made of
   * @param start copied
   */
  constructor(
    private readonly source: () => Tensor,
    private readonly grid: Pick<Grid, "bits" | "symmetric" | "groupSize">,
    start: ClipStart,
  ) {
    const leaf = (tensor: Tensor): Tensor => keep(tensor.detach().clone()).requiresGrad_();
    this.#top = leaf(start.top);
    this.#bottom = leaf(start.bottom);
    const none = noGrad(() => scope(() => noOffset(grouped(source(), grid.groupSize))));
    this.#none = none === null ? null : keep(none);
    this.parameters = [
      { role: "clip", name: "clip.top", tensor: this.#top },
      { role: "clip", name: "clip.bottom", tensor: this.#bottom },
    ];
  }

  weight(_penalty?: RoundingPenalty | null, dtype: DType = "float32"): Tensor {
    const weight = grouped(this.source(), this.grid.groupSize);
    const range = this.#range(weight);
    if (this.grid.bits === 1) return ungrouped(binaryWeight(weight, range)).to(dtype);
    return ungrouped(roundedWeight({ weight, none: this.#none, grid: { ...this.grid, ...range } }, dtype));
  }

  harden(): Codes {
    return noGrad(() =>
      scope(() => {
        const weight = this.source();
        const groups = grouped(weight, this.grid.groupSize);
        const grid = { ...this.grid, ...this.#range(groups) };
        if (grid.bits === 1) return { ...grid, codes: ungrouped(binaryCodes(groups, grid)) };
        return roundToNearest(weight, grid);
      }),
    );
  }

  dispose(): void {
    for (const tensor of [this.#top, this.#bottom, this.#none]) tensor?.dispose();
  }

  #range(weight: Tensor): Pick<Grid, "scale" | "zeroPoint"> {
    const { bits, symmetric } = this.grid;
    const { minimum, maximum } = extremes(weight);
    const [high, low] = [this.#top.sigmoid().mul(maximum), this.#bottom.sigmoid().mul(minimum)];
    if (symmetric) {
      const half = levels(bits) / 2;
      const sign = noGrad(() => scope(() => low.neg().ge(high).to("float32").mul(2).sub(1)));
      const scale = storableScaleThrough(high.maximum(low.neg()).mul(sign).div(half));
      return { scale, zeroPoint: Tensor.full(scale.shape, half, { device: scale.device }) };
    }
    const most = levels(bits) - 1;
    const scale = storableScaleThrough(high.sub(low).div(most));
    const units = bits === 1 ? BINARY_STEPS : 1;
    const below = low.neg().div(scale);
    const rounded = units === 1 ? roundThrough(below) : roundThrough(below.mul(units)).div(units);
    return { scale, zeroPoint: clampThrough(rounded, 0, most) };
  }
}

// Which of its two values a weight takes changes at a point, so that gradients pass to the values alone.
function binaryWeight(weight: Tensor, range: Pick<Grid, "scale" | "zeroPoint">): Tensor {
  const codes = noGrad(() => scope(() => binaryCodes(weight, range)));
  return codes.sub(range.zeroPoint).mul(range.scale);
}

/** Where ranges begin that are nearly those of the weights: `share` of both extremes. */
export function clipAt(share: number, grid: Pick<Grid, "scale">): ClipStart {
  const logit = Tensor.full(grid.scale.shape, Math.log(share / (1 - share)), { device: grid.scale.device });
  return { top: logit, bottom: logit };
}

/** Where ranges begin that reach as far as those of a grid which was searched for this weight, fp32 `[out, in]`. */
export function clipOf(weight: Tensor, { bits, symmetric, groupSize, scale, zeroPoint }: Grid): ClipStart {
  return noGrad(() =>
    scope(() => {
      const { minimum, maximum } = extremes(grouped(weight, groupSize));
      const logit = (reach: Tensor, extreme: Tensor): Tensor => {
        const share = reach.div(extreme.clamp(1e-12)).clamp(LEAST_SHARE, MOST_SHARE);
        return share.div(share.neg().add(1)).log();
      };
      if (symmetric) {
        const both = logit(scale.abs().mul(levels(bits) / 2), maximum.maximum(minimum.neg()));
        return { top: both, bottom: both };
      }
      return {
        top: logit(
          zeroPoint
            .neg()
            .add(levels(bits) - 1)
            .mul(scale),
          maximum,
        ),
        bottom: logit(zeroPoint.mul(scale), minimum.neg()),
      };
    }),
  );
}

// Of each group, with 0 among them: a grid holds it.
function extremes(weight: Tensor): { readonly minimum: Tensor; readonly maximum: Tensor } {
  return { minimum: weight.amin(2, true).clamp(null, 0), maximum: weight.amax(2, true).clamp(0) };
}
