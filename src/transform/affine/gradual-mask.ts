import { noGrad, scope, type Tensor } from "../../tensor/index.js";
import { diagonalMatrix, diagonalOf } from "./inverse.js";

/** Elements of a matrix and what it may use of them: how a step computes with it. */
export interface MaskedMatrix {
  /** `[count, n, n]`; its own diagonal is left alone. */
  readonly matrix: Tensor;
  /** 1 off the diagonal where the matrix counts, else 0, `[n, n]`. */
  readonly band: Tensor;
  /** What counted elements are multiplied by at most, `[count, 1, 1]`. */
  readonly alpha: Tensor;
}

/**
 * How many diagonals on each side of the main one count in an epoch: `floor((n - 1) e / (E - 1))`, none in the first epoch, all in
 * the last. The formula divides by zero where there is one epoch alone: that is the last.
 * Source: AffineQuant (arXiv 2403.12544), the gradual mask of section 3.
 */
export function bandWidth(epoch: number, epochs: number, size: number): number {
  return epochs <= 1 ? size - 1 : Math.floor(((size - 1) * epoch) / (epochs - 1));
}

/** Puts 1 where `0 < |i - j| <= width` into `band [n, n]`, and 0 elsewhere. */
export function fillBand(band: Tensor, width: number): void {
  noGrad(() =>
    scope(() => {
      band.fill_(1);
      band.sub_(band.tril(-width - 1));
      band.sub_(band.triu(width + 1));
      band.sub_(diagonalMatrix(diagonalOf(band)));
    }),
  );
}

/**
 * The share of its diagonal that a row may have beside it. Levy and Desplanques: a matrix whose rows all have
 * `|a_ii| > sum |a_ij|` is invertible; at 0.95 it is so with a condition that fp32 can do with.
 */
const MOST_BESIDE = 0.95;

/**
 * The largest factor up to `alpha` with which every row is dominated by its diagonal, `[count, 1, 1]`, without a graph.
 * Nothing in the loss keeps a matrix dominant, and released code finds NaN where it is not (its issue 2).
 */
export function dominantAlpha({ matrix, band, alpha }: MaskedMatrix): Tensor {
  return noGrad(() =>
    scope(() => {
      const own = diagonalOf(matrix.detach()).abs();
      const beside = matrix.detach().mul(band).abs().sum(-1);
      const most = own.mul(MOST_BESIDE).div(beside.clamp(1e-12)).amin(-1).reshape(alpha.shape);
      return alpha.minimum(most);
    }),
  );
}

/** Whether every row's diagonal outweighs what else is in it: sufficient for an inverse, not necessary. */
export function isDominant(matrix: Tensor): boolean {
  return noGrad(() =>
    scope(() => {
      const own = diagonalOf(matrix).abs();
      return own.mul(2).sub(matrix.abs().sum(-1)).amin().item() > 0;
    }),
  );
}
