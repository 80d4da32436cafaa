import type { ActivationStore } from "../calibration/activation-store.js";
import { noGrad, scope } from "../tensor/index.js";

/** A stream that enters the window, and what the full-precision window makes of it. */
export interface Branch {
  readonly name: "full" | "quantized";
  readonly target: ActivationStore;
  /** Mean square of the target over all sequences. */
  readonly meanSquare: number;
}

/** A branch over targets that are complete: takes the store over. */
export function branchOf(name: Branch["name"], target: ActivationStore): Branch {
  const { sequences } = target.shape;
  let sum = 0;
  noGrad(() => {
    for (let i = 0; i < sequences; i++) {
      sum += scope(() => target.read([i]).to("float32").square().mean().item());
    }
  });
  return { name, target, meanSquare: sum / sequences };
}
