import { SeededRandom } from "../../calibration/seeded-random.js";
import { keep, scope, Tensor } from "../../tensor/index.js";
import { hadamardFactors, multiplyKronecker } from "./hadamard.js";

/**
 * A random rotation of vectors of `n` numbers, `R = diag(signs) H`: what one channel holds is spread evenly over all, so
 * that no channel is an outlier any more. Computed in `n` times the sum of H's factors, never as `[n, n]`.
 */
export class Rotation implements Disposable {
  readonly #signs: Tensor;
  readonly #factors: readonly Tensor[];

  constructor(n: number, seed: number) {
    const random = new SeededRandom(seed);
    const signs = Float32Array.from({ length: n }, () => (random.below(2) === 0 ? 1 : -1));
    this.#signs = keep(Tensor.from(signs));
    this.#factors = scope(() => hadamardFactors(n).map(keep));
  }

  /** `x R` of rows, fp32 `[rows, n]`. */
  rows(x: Tensor): Tensor {
    return multiplyKronecker(x.mul(this.#signs), this.#factors);
  }

  /** `R^T x` of columns, fp32 `[n, columns]`. */
  columns(x: Tensor): Tensor {
    return this.rows(x.transpose(0, 1).contiguous()).transpose(0, 1);
  }

  /** Each head of the rows, fp32 `[rows, heads n]`. */
  headsOfRows(x: Tensor): Tensor {
    return this.rows(x.reshape([-1, this.#signs.numel])).reshape(x.shape);
  }

  /** Each head of the columns, fp32 `[heads n, columns]`. */
  headsOfColumns(x: Tensor): Tensor {
    return this.headsOfRows(x.transpose(0, 1).contiguous()).transpose(0, 1);
  }

  [Symbol.dispose](): void {
    for (const tensor of [this.#signs, ...this.#factors]) tensor.dispose();
  }
}
