import type { Tensor } from "../../../tensor/index.js";
import type { DenseMlpSpec } from "../spec/decoder-spec.js";
import { activate, activateGate } from "./activation.js";
import type { Sublayer } from "./forward-context.js";
import { xielu } from "./xielu.js";

/** An MLP that every token passes, through its output Linear. */
export function denseMlp({ kind, activation }: DenseMlpSpec, x: Tensor, { weights, apply }: Sublayer): Tensor {
  if (activation === "xielu") {
    const inside = xielu(apply(kind === "gated" ? "gate" : "up", x), weights);
    return apply("down", kind === "gated" ? inside.mul(apply("up", x)) : inside);
  }
  const hidden =
    kind === "gated"
      ? activateGate(apply("gate", x), apply("up", x), activation)
      : activate(apply("up", x), activation);
  return apply("down", hidden);
}
