import type { Tensor } from "../../tensor/index.js";

const zeta = 1.1;
const gamma = -0.1;

/** `h(V) = clip(sigmoid(V) (zeta - gamma) + gamma, 0, 1)`: AdaRound's soft choice between floor and ceiling. */
export function h(v: Tensor): Tensor {
  return v
    .sigmoid()
    .mul(zeta - gamma)
    .add(gamma)
    .clamp(0, 1);
}

/** The `V` with `h(V) = x`, for `x` in [0, 1]. */
export function hInverse(x: Tensor): Tensor {
  const p = x.sub(gamma).div(zeta - gamma);
  return p.div(p.neg().add(1)).log();
}

/** `L_com = mean(1 - |2h - 1|^beta)`: zero when every `h` is 0 or 1. */
export function commitment(soft: Tensor, beta: number): Tensor {
  return soft.mul(2).sub(1).abs().pow(beta).mean().neg().add(1);
}
