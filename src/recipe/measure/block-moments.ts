import type { ActivationStore } from "../../calibration/activation-store.js";
import { type InputSite, inputSites, type LinearRole } from "../../network/index.js";
import type { SecondMoments } from "../../quant/second-moments.js";
import type { QuantizedBlock } from "../../reconstruct/quantized-block.js";
import { unusableMoments } from "../job/fault-warnings.js";
import type { BlockWork } from "../recipe.js";
import { isFiniteTensor } from "../solve/quantize-site.js";
import { SiteMoments } from "./site-moments.js";

/** Second moments of the inputs of a block's Linears. */
export interface BlockMoments extends Disposable {
  /** Those of a Linear's inputs; null where they are not finite. */
  of(role: LinearRole): SecondMoments | null;
}

/**
 * Moves a stream past a block in full precision, and adds up the second moments of what its Linears read on the way.
 *
 * @param stream at the block's input, which it moves to the block's output
 */
export function collectBlockMoments(block: QuantizedBlock, stream: ActivationStore, work: BlockWork): BlockMoments {
  const { job, warnings } = work;
  const sites = inputSites(job.spec);
  const siteOf = (role: LinearRole): InputSite | undefined => sites.find((site) => site.linears.includes(role));
  const moments = new SiteMoments(job.device);
  try {
    work.advance(stream, (x, part) =>
      moments.during(part, (observe) =>
        block.forwardFull(x, (role, input) => {
          if (siteOf(role)?.linears[0] === role) observe(role, input);
        }),
      ),
    );
    for (const { linears } of sites) {
      const [role] = linears;
      const sum = role === undefined ? null : moments.of(role);
      if (role === undefined || sum === null || isFiniteTensor(sum.matrix)) continue;
      warnings.push(unusableMoments(block.index, linears));
      moments.drop(role);
    }
  } catch (error) {
    moments[Symbol.dispose]();
    throw error;
  }
  return {
    of(role) {
      const [first] = siteOf(role)?.linears ?? [];
      return first === undefined ? null : moments.of(first);
    },
    [Symbol.dispose]: () => moments[Symbol.dispose](),
  };
}
