import type { PortStore, Ports } from "../../calibration/port-store.js";
import { inputRows, readersOf, standsFor } from "../../network/index.js";
import type { AttentionObserver, QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import { isFiniteTensor } from "../../tensor/index.js";
import { unusableMoments } from "../job/fault-warnings.js";
import type { UnitWork } from "../recipe.js";
import type { AttentionFactors } from "./attention-factors.js";
import { countExpertTokens } from "./expert-tokens.js";
import { type InputMoments, SiteMoments } from "./site-moments.js";

/** Second moments of the inputs of a unit's Linears. */
export interface UnitMoments extends Disposable {
  /** Those of a Linear's inputs; null where they are not finite. */
  of(layer: string): InputMoments | null;
}

/**
 * Moves a stream past a block in full precision, and adds up the second moments of what its Linears read on the way.
 *
 * @param stream at the block's input, which it moves to the block's output
 * @param attention what else is added up on the way
 */
export function collectUnitMoments(
  block: QuantizedUnit,
  stream: PortStore,
  work: UnitWork,
  attention: AttentionFactors | null = null,
): UnitMoments {
  const { job, warnings } = work;
  const { plan } = block;
  const through = countExpertTokens(block, stream, work)?.through ?? [];
  const moments = new SiteMoments(job.device, through);
  try {
    work.advance(stream, (x, part) =>
      moments.during(part, (observe) => {
        const run = (see?: AttentionObserver): Ports =>
          block.forwardFull(
            x,
            (layer, input, linear, groups) => {
              if (standsFor(plan, layer) === layer) observe(layer, inputRows(input, linear), groups);
            },
            see,
            through,
          );
        return attention === null ? run() : attention.during(part, run);
      }),
    );
    for (const readers of plan.sites.flatMap((site) => readersOf(plan, site))) {
      const [first = ""] = readers;
      const sums = moments.of(first);
      if (sums === null || sums.every(({ matrix }) => isFiniteTensor(matrix))) continue;
      warnings.push(unusableMoments(block.index, readers));
      moments.drop(first);
    }
  } catch (error) {
    moments[Symbol.dispose]();
    throw error;
  }
  return {
    of: (layer) => moments.of(standsFor(plan, layer)),
    [Symbol.dispose]: () => moments[Symbol.dispose](),
  };
}
