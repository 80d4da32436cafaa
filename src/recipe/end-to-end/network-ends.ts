import type { PortStore } from "../../calibration/port-store.js";
import { checkpointSource } from "../../network/index.js";
import type { NetworkInput } from "../../reconstruct/end-to-end.js";
import { freeOnError } from "../../tensor/index.js";
import type { CalibrationTokens, RecipeJob } from "../job/recipe-job.js";
import { streamShape } from "../state/streams.js";
import type { NetworkEnds } from "./stage.js";

/**
 * What comes before and after the blocks as the checkpoint has it.
 *
 * @param stored the first block's inputs, where a store has them; without it every step embeds its own tokens
 */
export function frozenEnds(job: RecipeJob, tokens: CalibrationTokens, stored: PortStore | null): NetworkEnds {
  const { network, checkpoint, device, dtype } = job;
  const end = network.end(checkpointSource(checkpoint, { device, dtype }));
  return freeOnError([end], () => {
    const input = stored === null ? embedded(job, tokens) : { ...stored, dispose: () => {} };
    const dispose = (): void => {
      input.dispose();
      end.dispose();
    };
    return { input, end, parameters: [], dispose };
  });
}

// Thousands of sequences would fill a store with what the table gives at once.
function embedded(job: RecipeJob, tokens: CalibrationTokens): NetworkInput & { dispose(): void } {
  const { network, checkpoint, device, dtype } = job;
  const start = network.begin(checkpointSource(checkpoint, { device, dtype }));
  return {
    shape: streamShape(job, tokens),
    read: (part) => start.run(idsOf(tokens, part), [part.length, tokens.context]),
    dispose: () => start.dispose(),
  };
}

/** Token ids of some sequences, row by row. */
export function idsOf({ ids, context }: CalibrationTokens, part: readonly number[]): Int32Array {
  const rows = new Int32Array(part.length * context);
  part.forEach((sequence, row) => {
    rows.set(ids.subarray(sequence * context, (sequence + 1) * context), row * context);
  });
  return rows;
}
