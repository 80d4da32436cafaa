import { callTensor, type Tensor } from "../../../tensor/index.js";
import { tensorOf, type UnitWeights } from "../../unit-weights.js";
import type { XieluRole } from "../spec/decoder-spec.js";

/**
 * xIELU (arXiv 2411.13010, equation 9): a parabola above zero and an integrated ELU below, `p x^2 + beta x` and
 * `n (expm1(min(x, eps)) - x) + beta x`, whose `p` and `n - beta` are softplus of what is stored. Differentiable in `x`.
 */
export function xielu(x: Tensor, weights: UnitWeights): Tensor {
  const stored = (role: XieluRole): Tensor => tensorOf(weights, role).to(x.dtype).reshape([1]);
  const softplus = (of: Tensor): Tensor => callTensor("aten::softplus", [of]);
  const beta = stored("xieluBeta");
  const above = x
    .relu()
    .square()
    .mul(softplus(stored("xieluPositive")));
  const below = callTensor("aten::expm1", [x.minimum(stored("xieluEps"))])
    .sub(x)
    .mul(softplus(stored("xieluNegative")).add(beta))
    .maskedFill(x.detach().gt(0), 0);
  return above.add(below).add(x.mul(beta));
}
