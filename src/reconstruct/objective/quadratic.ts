import type { SecondMoments } from "../../quant/second-moments.js";
import type { HeadFactors } from "../../quant/solver/row-column.js";
import { differentiable, noGrad, scope, Tensor } from "../../tensor/index.js";

/** Factors of a quadratic, of which the sums alone count. */
export interface QuadraticFactors extends Omit<HeadFactors, "columns"> {
  readonly columns: readonly Pick<SecondMoments, "matrix">[];
}

/**
 * What the error of a weight costs, as `sum over heads of tr(R_h dW_h C_h dW_h^T)`, `dW` the difference to the weight itself: factors
 * are made once of all calibration text, and no step looks at any of it again. They are sums over the tokens, of as many in every head.
 * Source: aespa (arXiv 2402.08958), section 3.
 */
export class Quadratic {
  readonly #weight: Tensor;
  readonly #columns: QuadraticFactors["columns"];
  readonly #rows: Tensor | null;
  readonly #heads: number;

  /** @param weight fp32 `[heads width, in]`, in full precision: errors are counted from it, whatever a rounding starts from */
  constructor(weight: Tensor, { columns, rows, heads }: QuadraticFactors) {
    this.#weight = weight;
    this.#rows = rows;
    this.#heads = heads;
    this.#columns = columns;
  }

  /** All of it, a scalar, differentiable in the quantized weight `[heads width, in]`; divided by `unit`. */
  loss(quantized: Tensor, unit: number): Tensor {
    return differentiable(
      [quantized],
      () => {
        const error = quantized.sub(this.#weight);
        const slope = this.#slope(error);
        return { output: slope.mul(error).sum().div(unit), saved: [slope] };
      },
      // Both factors are symmetric: d tr(R dW C dW^T) = 2 R dW C.
      (gradient, [slope]) => [(slope as Tensor).mul(gradient.mul(2 / unit))],
    );
  }

  /**
   * What the error of each part that can be chosen for itself costs, `[parts, 1]`: of each row, or of each head where rows depend on
   * each other.
   */
  costs(quantized: Tensor): Tensor {
    return noGrad(() =>
      scope(() => {
        const error = quantized.sub(this.#weight);
        const costs = this.#slope(error).mul(error).sum(1, true);
        return this.#rows === null ? costs : costs.reshape([this.#heads, -1]).sum(1, true);
      }),
    );
  }

  // `R_h dW_h C_h` of every head, [heads width, in].
  #slope(error: Tensor): Tensor {
    const [shared] = this.#columns;
    const width = error.size(0) / this.#heads;
    const along =
      shared !== undefined && this.#columns.length === 1
        ? error.matmul(shared.matrix)
        : Tensor.cat(this.#columns.map(({ matrix }, head) => error.narrow(0, head * width, width).matmul(matrix)));
    if (this.#rows === null) return along;
    return this.#rows.matmul(along.reshape([this.#heads, width, error.size(1)])).reshape(error.shape);
  }
}
