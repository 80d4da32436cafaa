import { differentiable, type Tensor } from "../../tensor/index.js";
import { clampThrough } from "../grid.js";
import type { Commitment } from "./rounding.js";

const zeta = 1.1;
const gamma = -0.1;

/** `h(V) = clip(sigmoid(V) (zeta - gamma) + gamma, 0, 1)`: AdaRound's soft choice between floor and ceiling. */
export function h(v: Tensor): Tensor {
  const stretched = v
    .sigmoid()
    .mul(zeta - gamma)
    .add(gamma);
  return clampThrough(stretched, 0, 1);
}

/** The `V` with `h(V) = x`, for `x` in [0, 1]. */
export function hInverse(x: Tensor): Tensor {
  const p = x.sub(gamma).div(zeta - gamma);
  return p.div(p.neg().add(1)).log();
}

/**
 * Soft choices as they are; the gradient of `weight * L_com`, `L_com = mean(1 - |2h - 1|^beta)`, joins theirs. It is
 * zero when every `h` is 0 or 1. Its value plays no part in training, so it is never computed.
 */
export function committed(soft: Tensor, { weight, beta }: Commitment): Tensor {
  return differentiable(
    [soft],
    () => ({ output: soft.clone(), saved: [soft] }),
    (gradient, [choice]) => {
      const side = (choice as Tensor).mul(2).sub(1);
      const count = side.shape.reduce((product, size) => product * size, 1);
      const pull = side
        .abs()
        .pow(beta - 1)
        .mul(side.sign())
        .mul((-2 * beta * weight) / count);
      return [gradient.add(pull)];
    },
  );
}
