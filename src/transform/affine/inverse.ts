import { callTensor, differentiable, noGrad, scope, Tensor } from "../../tensor/index.js";

/**
 * Doublings of the Neumann series: with rows whose off-diagonal sum is at most 0.95 of the diagonal what is left after them
 * is 0.95^(2^11), far below what fp64 can tell from 0.
 */
const ROUNDS = 10;
/** Products of matrices that an inverse takes. */
export const INVERSE_PRODUCTS = 2 * ROUNDS;

/**
 * The inverses of strictly diagonally dominant matrices `[count, n, n]`, fp32, computed in fp64; differentiable. Made of
 * products alone, so that a training step with it can be recorded on a GPU, where a factorisation waits for the device.
 * The gradient is `-A^-T G A^-T`.
 */
export function inverse(matrices: Tensor): Tensor {
  return differentiable(
    [matrices],
    () => {
      const wide = invertDominant(matrices.detach().to("float64"));
      return { output: wide.to("float32"), saved: [wide] };
    },
    (gradient, [wide]) => {
      const transposed = (wide as Tensor).transpose(-2, -1);
      return [transposed.matmul(gradient.to("float64")).matmul(transposed).neg().to("float32")];
    },
  );
}

/** Newton's iteration `X <- X (2 I - B X)` on rows that are divided by their diagonal, from the first terms of the series. */
export function invertDominant(matrices: Tensor): Tensor {
  return noGrad(() =>
    scope(() => {
      const diagonal = diagonalOf(matrices);
      const rows = matrices.div(diagonal.unsqueeze(-1));
      const twice = diagonalMatrix(Tensor.full(diagonal.shape, 2, { dtype: matrices.dtype, device: matrices.device }));
      let x = twice.sub(rows);
      for (let i = 0; i < ROUNDS; i++) x = x.matmul(twice.sub(rows.matmul(x)));
      return x.div(diagonal.unsqueeze(-2));
    }),
  );
}

/** `[..., n]` of `[..., n, n]`. */
export function diagonalOf(matrices: Tensor): Tensor {
  return callTensor("aten::diagonal", [matrices, 0, -2, -1]);
}

/** `[..., n, n]` of `[..., n]`. */
export function diagonalMatrix(diagonal: Tensor): Tensor {
  return callTensor("aten::diag_embed", [diagonal, 0, -2, -1]);
}
