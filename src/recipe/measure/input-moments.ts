import type { PortStore } from "../../calibration/port-store.js";
import { inputRows } from "../../network/index.js";
import type { InputObserver, QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import type { SequenceParts } from "../../reconstruct/sequence-parts.js";
import { noGrad, scope } from "../../tensor/index.js";
import type { RecipeJob } from "../job/recipe-job.js";
import type { SiteMoments } from "./site-moments.js";

/**
 * Adds the second moments of the inputs of one Linear, by name within the unit, to `sums`: on a stream at the unit's input, as the Linears before
 * it leave it, and quantized as the Linear has it.
 *
 * @param through experts that see all tokens
 */
export function collectInputMoments(
  job: Pick<RecipeJob, "poll">,
  block: QuantizedUnit,
  layer: string,
  stream: PortStore,
  parts: SequenceParts,
  sums: SiteMoments,
  through: readonly number[] = [],
): void {
  noGrad(() =>
    parts.each(stream.shape.sequences, (part) => {
      job.poll();
      scope(() =>
        sums.during(part, (observe) => {
          const ports = stream.read(part);
          const see: InputObserver = (seen, x, linear, groups) => {
            if (seen !== layer) return;
            observe(layer, inputRows(block.layers.get(layer)?.activation?.apply(x, ports) ?? x, linear), groups);
          };
          block.forwardQuantized(ports, see, through);
        }),
      );
    }),
  );
}
