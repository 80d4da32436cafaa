import { differentiable, type Tensor } from "../../tensor/index.js";

/**
 * Added to the square of the variance, so that a constant has a kurtosis of 0. Variances of a Linear's outputs are some
 * hundredths at least once a network is initialised, and their squares far above it.
 */
const EPSILON = 1e-8;

/**
 * The kurtosis of every token of `y [..., features]` over its features, `mean((y - mu)^4) / (sigma^4 + eps)`, `[...]` in
 * fp32 at least: 3 for normal numbers, 1.8 for uniform ones, about the number of features where one of them has it all.
 * Differentiable in `y`. It has to be taken of what a Linear gives, bias included, in full precision.
 * Source: Nrusimha et al. (arXiv 2404.03605), section 4.2.
 */
export function kurtosis(y: Tensor): Tensor {
  return differentiable(
    [y],
    () => {
      const { fourth, scale } = moments(y);
      return { output: fourth.mul(scale).squeeze(-1), saved: [y] };
    },
    (gradient, [saved]) => {
      const values = saved as Tensor;
      const { centred, square, variance, fourth, scale } = moments(values);
      // With m = mean(d^3): dK/dy_i = 4 / n / (v^2 + eps) (d_i^3 - m - K v d_i).
      const cubes = square.mul_(centred);
      const slope = cubes.sub(cubes.mean(-1, true)).sub_(centred.mul_(fourth.mul(scale).mul(variance)));
      const factor = gradient.unsqueeze(-1).mul(scale.mul(4 / values.size(-1)));
      return [slope.mul_(factor).to(values.dtype)];
    },
  );
}

function moments(y: Tensor): Readonly<Record<"centred" | "square" | "variance" | "fourth" | "scale", Tensor>> {
  const wide = y.detach().to(y.dtype === "float64" ? "float64" : "float32");
  const centred = wide.sub(wide.mean(-1, true));
  const square = centred.square();
  const variance = square.mean(-1, true);
  return {
    centred,
    square,
    variance,
    fourth: square.square().mean(-1, true),
    scale: variance.square().add(EPSILON).reciprocal(),
  };
}
