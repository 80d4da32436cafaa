import type { ActivationStore } from "../calibration/activation-store.js";
import { noGrad, scope, type Tensor } from "../tensor/index.js";

/** Runs every sequence of `from` through `run` and stores the results in `to`, which may be `from`. */
export function advance(
  from: ActivationStore,
  to: ActivationStore,
  microBatch: number,
  run: (x: Tensor) => Tensor,
): void {
  const { sequences } = from.shape;
  noGrad(() => {
    for (let first = 0; first < sequences; first += microBatch) {
      const part = Array.from({ length: Math.min(microBatch, sequences - first) }, (_, i) => first + i);
      scope(() => to.write(first, run(from.read(part))));
    }
  });
}
