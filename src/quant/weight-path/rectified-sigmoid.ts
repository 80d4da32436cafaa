import { differentiable, type Tensor } from "../../tensor/index.js";
import { clampThrough } from "../grid/grid.js";
import type { RoundingPenalty } from "./weight-path.js";

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
export function penalised(soft: Tensor, penalty: RoundingPenalty): Tensor {
  return differentiable(
    [soft],
    () => ({ output: soft.clone(), saved: [soft, penalty] }),
    (gradient, [choice, term]) => {
      const [weight, beta] = [(term as Tensor).narrow(0, 0, 1), (term as Tensor).narrow(0, 1, 1)];
      const side = (choice as Tensor).mul(2).sub(1);
      const pull = side
        .abs()
        .pow(beta.sub(1))
        .mul(side.sign())
        .mul(beta.mul(weight).mul(-2 / side.numel));
      return [gradient.add(pull)];
    },
  );
}
