import type { ActivationStore } from "../calibration/activation-store.js";
import { noGrad, scope, Tensor } from "../tensor/index.js";

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
  // Looked at once, not sequence by sequence: a device would be waited for as often.
  const means = noGrad(() =>
    scope(() => {
      const meanOf = (i: number): Tensor => scope(() => target.read([i]).to("float32").square().mean());
      return Tensor.stack(Array.from({ length: sequences }, (_, i) => meanOf(i))).toFloat32Array();
    }),
  );
  const sum = means.reduce((total, mean) => total + mean, 0);
  return { name, target, meanSquare: sum / sequences };
}
