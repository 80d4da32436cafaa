import type { ActivationStore } from "../calibration/activation-store.js";
import { noGrad, scope, type Tensor } from "../tensor/index.js";
import type { SequenceParts } from "./sequence-parts.js";

/**
 * Runs every sequence of `from` through `run`, which is also told the numbers of those that it gets, and stores the
 * results in `to`, which may be `from`.
 */
export function advance(
  from: ActivationStore,
  to: ActivationStore,
  parts: SequenceParts,
  run: (x: Tensor, part: readonly number[]) => Tensor,
): void {
  noGrad(() =>
    parts.each(from.shape.sequences, (part) => scope(() => to.write(part[0] as number, run(from.read(part), part)))),
  );
}
