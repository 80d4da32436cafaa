import { scope, type Tensor, TensorError } from "../../tensor/index.js";

/** The upper Cholesky factor of the inverse of a damped matrix: what a rounding loses is made up for along its rows. */
export interface InverseFactor {
  /** fp32 `[n, n]`. */
  readonly factor: Tensor;
  /** Share of the mean diagonal that was added to it. */
  readonly damping: number;
}

/**
 * Factors a matrix of second moments. A zero on the diagonal says nothing and becomes one. The damping is multiplied by 10 until
 * the factor exists.
 *
 * @param matrix fp32 `[n, n]`, a copy that is changed
 * @param damping added to the diagonal, as a share of its mean
 * @param retry `double` tries fp64 before more damping: a matrix of low rank whose fp32 factor fails often has one there
 */
export function inverseFactor(matrix: Tensor, damping: number, retry: "double" | "damping" = "damping"): InverseFactor {
  matrix.diagonal().add_(matrix.diagonal().eq(0).to("float32"));
  const mean = matrix.diagonal().mean().item();
  const precisions = retry === "double" ? (["float32", "float64"] as const) : (["float32"] as const);
  for (let share = damping; ; share *= 10) {
    for (const dtype of precisions) {
      const factor = factorOf(matrix, share * mean, dtype, share > 10 && dtype === precisions.at(-1));
      if (factor !== null) return { factor, damping: share };
    }
  }
}

// Null where it does not exist and that is no error yet.
function factorOf(matrix: Tensor, added: number, dtype: "float32" | "float64", last: boolean): Tensor | null {
  try {
    return scope(() => {
      const damped = matrix.to(dtype).clone();
      damped.diagonal().add_(added);
      return damped.cholesky().choleskyInverse().cholesky(true).to("float32");
    });
  } catch (error) {
    if (!(error instanceof TensorError) || error.code !== "OPERATOR" || last) throw error;
    return null;
  }
}
