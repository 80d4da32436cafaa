import { type DType, keep, noGrad, scope, Tensor } from "../../tensor/index.js";
import {
  type Codes,
  clampThrough,
  type Grid,
  grouped,
  roundThrough,
  storableScale,
  storableScaleThrough,
  ungrouped,
} from "../grid/grid.js";
import type { Parameter } from "../parameter.js";
import { groupColumns, type Scheme } from "../scheme.js";
import { codeBounds, codesOf, type LowRankTerms, lowRankProduct } from "./low-rank-product.js";
import type { RoundingPenalty, WeightPath } from "./weight-path.js";

export interface LowRankOptions {
  /** Rank of `B A`. */
  readonly rank: number;
  /** `B A` is multiplied with this over the rank. */
  readonly alpha: number;
  /**
   * What groups are shifted by: `none`, which a symmetric grid is; `integer`, whole steps, which zero points of codes hold;
   * `real`, as the paper has it, which leaves zero points that are fractions.
   */
  readonly offset: "none" | "integer" | "real";
  /** What the rates of scales and real offsets are in: `absolute` numbers, or the mean `scale` of this Linear. */
  readonly unit: "absolute" | "scale";
}

/**
 * A frozen weight plus a low-rank term, quantized with scales and offsets that are learnt along with it: what comes out is
 * one integer weight that has the term in it. `product` keeps neither the quantized weight nor its gradient; `weight` is the
 * same out of operators that autograd knows.
 * Source: L4Q (arXiv 2402.04902), section 3.
 */
export class LowRankWeight implements WeightPath {
  readonly hasPenalty = false;
  readonly parameters: readonly Parameter[];
  readonly #grid: Pick<Grid, "bits" | "groupSize">;
  readonly #weight: Tensor;
  readonly #down: Tensor;
  readonly #up: Tensor;
  readonly #scale: Tensor;
  /** In steps where it is whole ones of them; null without offsets. */
  readonly #offset: Tensor | null;
  readonly #none: Tensor;
  readonly #factor: number;
  readonly #kind: LowRankOptions["offset"];

  /**
   * Draws `A` from libtorch's own generator; `B` begins with 0, so that the first weight is `W0` rounded to nearest.
   *
   * @param weight `[out, in]`, of which it keeps a view, no copy
   */
  constructor(weight: Tensor, grid: Grid, { rank, alpha, offset, unit }: LowRankOptions) {
    const { device } = weight;
    const [rows, columns] = weight.shape as [number, number];
    const leaf = (make: () => Tensor): Tensor => keep(noGrad(() => scope(make))).requiresGrad_();
    const [least, most] = codeBounds(grid.bits);
    this.#grid = { bits: grid.bits, groupSize: grid.groupSize };
    this.#factor = alpha / rank;
    this.#kind = offset;
    this.#weight = keep(weight.detach());
    // Kaiming, as LoRA has it; on the host, so that every device begins with the same numbers.
    this.#down = leaf(() =>
      Tensor.randn([rank, columns])
        .mul(Math.sqrt(1 / (3 * columns)))
        .to(device),
    );
    this.#up = leaf(() => Tensor.zeros([rows, rank], { device }));
    this.#scale = leaf(() => grid.scale.detach().to("float32").clone());
    this.#none = keep(Tensor.zeros(grid.scale.shape, { device }));
    const step = scope(() => grid.scale.abs().mean().item());
    const steps = (): Tensor => grid.zeroPoint.neg().add(-least);
    this.#offset = offset === "none" ? null : leaf(() => (offset === "real" ? steps().mul(grid.scale) : steps()));
    const size = unit === "scale" ? step : 1;
    this.parameters = [
      { role: "lowRank", name: "A", tensor: this.#down },
      { role: "lowRank", name: "B", tensor: this.#up },
      { role: "scale", name: "scale", tensor: this.#scale, unit: size },
      ...(this.#offset === null
        ? []
        : offset === "integer"
          ? // Zero points from 0 to 2^bits - 1.
            [{ role: "zeroPoint", name: "offset", tensor: this.#offset, bounds: [-most, -least] } as const]
          : [{ role: "zeroPoint", name: "offset", tensor: this.#offset, unit: size } as const]),
    ];
  }

  product(x: Tensor, bias: Tensor | null, dtype: DType): Tensor {
    return lowRankProduct(x, this.#terms(), bias, dtype);
  }

  weight(_penalty?: RoundingPenalty | null, dtype: DType = "float32"): Tensor {
    const { weight, down, up, factor, scale, offset, bits, groupSize } = this.#terms();
    const merged = grouped(up.matmul(down).mul(factor).add(weight.to("float32")), groupSize);
    const codes = roundThrough(clampThrough(merged.sub(offset).div(scale), ...codeBounds(bits)));
    return ungrouped(codes.mul(scale).add(offset)).to(dtype);
  }

  harden(): Codes {
    const { bits, groupSize } = this.#grid;
    const [least] = codeBounds(bits);
    return noGrad(() =>
      scope(() => {
        const terms = this.#terms();
        const codes = ungrouped(codesOf(terms, 0, this.#weight.size(0)).rounded.sub(least));
        const steps = terms.offset.div(terms.scale);
        const zeroPoint = (this.#kind === "real" ? steps : steps.round()).neg().sub(least);
        return { bits, groupSize, symmetric: this.#kind === "none", scale: terms.scale, zeroPoint, codes };
      }),
    );
  }

  dispose(): void {
    for (const tensor of [this.#weight, this.#down, this.#up, this.#scale, this.#none]) tensor.dispose();
    this.#offset?.dispose();
  }

  // Scales as every export stores them, and offsets in the weight's own numbers, with their gradients.
  #terms(): LowRankTerms {
    const scale = storableScaleThrough(this.#scale);
    const learnt = this.#offset;
    const offset = learnt === null ? this.#none : this.#kind === "integer" ? roundThrough(learnt).mul(scale) : learnt;
    return {
      ...{ weight: this.#weight, down: this.#down, up: this.#up, factor: this.#factor, scale, offset },
      ...{ groupSize: this.#grid.groupSize, bits: this.#grid.bits },
    };
  }
}

/**
 * A grid around zero that reaches both ends of every group: `s = max(|min W / Qn|, |max W / Qp|)`, as exports store it. A
 * range that cuts a tail off costs far more than it gains once scales are learnt: 25.7 % for 45.3 % of MMLU.
 * Source: L4Q (arXiv 2402.04902), section 3.3.
 *
 * @param weight `[out, in]`
 * @throws OptionError when the scheme's group does not divide the width
 */
export function coveringGrid(weight: Tensor, scheme: Scheme, layer: string): Grid {
  const groupSize = groupColumns(scheme, weight.size(1), layer);
  const [least, most] = codeBounds(scheme.bits);
  const scale = noGrad(() =>
    scope(() => {
      const groups = grouped(weight.to("float32"), groupSize);
      const ends = groups.amin(2, true).div(least).maximum(groups.amax(2, true).div(most));
      const stored = storableScale(ends);
      // The next one that can be stored, where rounding would cut the end off.
      return Tensor.where(stored.lt(ends), storableScale(ends.mul(1 + 2 ** -10)), stored);
    }),
  );
  const zeroPoint = Tensor.full(scale.shape, -least, { device: scale.device });
  return { bits: scheme.bits, symmetric: scheme.symmetric, groupSize, scale, zeroPoint };
}
