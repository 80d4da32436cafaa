import type { Tensor } from "../../../tensor/index.js";
import type { DenseMlpSpec } from "../spec/decoder-spec.js";
import { activate, activateGate } from "./activation.js";
import type { Sublayer } from "./forward-context.js";

/** An MLP that every token passes, through its output Linear. */
export function denseMlp({ kind, activation }: DenseMlpSpec, x: Tensor, { apply }: Sublayer): Tensor {
  const hidden =
    kind === "gated"
      ? activateGate(apply("gate", x), apply("up", x), activation)
      : activate(apply("up", x), activation);
  return apply("down", hidden);
}
