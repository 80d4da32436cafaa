import { callTensor, callTensors, differentiable, hasKernel, type Tensor } from "../../../tensor/index.js";
import type { PlainActivation } from "../spec/decoder-spec.js";

/** The nonlinearity of an MLP; `xielu.ts` has the one that is learnt. */
export function activate(x: Tensor, activation: PlainActivation): Tensor {
  switch (activation) {
    case "silu":
      return x.silu();
    case "relu":
      return x.relu();
    case "relu2":
      return x.relu().square();
    case "gelu":
      return x.gelu();
    case "gelu_tanh":
      return x.gelu("tanh");
  }
}

const siluProduct = "crossblock::silu_product";

/** `activation(gate) * up`, the inside of a gated MLP. */
export function activateGate(gate: Tensor, up: Tensor, activation: PlainActivation): Tensor {
  if (activation !== "silu" || !hasKernel(siluProduct, gate)) return activate(gate, activation).mul(up);
  return differentiable(
    [gate, up],
    () => ({ output: callTensor(siluProduct, [gate, up]), saved: [gate, up] }),
    (gradient, saved) => callTensors(`${siluProduct}_backward`, [gradient, ...saved]),
  );
}
