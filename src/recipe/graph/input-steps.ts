import { createPortStore, type PortStore } from "../../calibration/port-store.js";
import { advance } from "../../reconstruct/advance.js";
import { channelError } from "../../reconstruct/objective/fisher/channel-error.js";
import { forwardAll, type QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import { overTargets } from "../../reconstruct/reconstruct.js";
import { freeOnError } from "../../tensor/index.js";
import type { RecipeEvent } from "../job/recipe-job.js";
import { calibrateTensorGrids, type GridQuantizer } from "../measure/tensor-grids.js";
import type { WindowWork } from "../recipe.js";
import { gradient } from "../solve/gradient-solver.js";
import { chooseStorage } from "../state/streams.js";

/** How the steps of inputs are learnt once the codes of the weights are chosen. */
export interface InputSteps {
  readonly epochs: number;
  readonly batch: number;
  /** Adam's, which falls to 0 along a cosine. */
  readonly rate: number;
  /** Of the error that is least. */
  readonly power: number;
  readonly quantizer: GridQuantizer;
}

/**
 * Finds a grid for every input of some hard blocks of a graph, and trains the steps together: the blocks see the full-precision
 * stream, and are held against what they make of it in full precision.
 *
 * @param input the full-precision stream where the blocks begin
 */
export function* learnInputSteps(
  work: WindowWork,
  blocks: readonly QuantizedUnit[],
  input: PortStore,
  { epochs, batch, rate, power, quantizer }: InputSteps,
): Generator<RecipeEvent, void> {
  const { job } = work;
  const owned: PortStore[] = [];
  const through = (from: PortStore, units: readonly QuantizedUnit[]): PortStore => {
    const to = createPortStore(from.shape, chooseStorage(job, from.shape, 1), job);
    owned.push(to);
    return freeOnError([], () => {
      advance(from, to, work.parts, (x) => {
        job.poll();
        return forwardAll(units, x, (unit, ports) => unit.forwardFull(ports));
      });
      return to;
    });
  };
  try {
    let at = input;
    for (const [i, block] of blocks.entries()) {
      if (i > 0) at = through(at, blocks.slice(i - 1, i));
      calibrateTensorGrids(job, block, at, quantizer, power);
      block.trainInputs();
    }
    const target = blocks.length === work.blocks.length ? work.targets[0] : through(input, blocks);
    if (target === undefined) throw new TypeError("the steps of inputs are held against the full-precision stream");
    yield* gradient(
      { ...work, blocks, input, targets: [target] },
      {
        epochs,
        batch,
        loss: overTargets((y, actual) => channelError(y, actual, power)),
        rates: { input: rate },
        finalRate: 0,
        fallBack: "its inputs keep the steps that were measured",
      },
    );
  } finally {
    for (const store of owned) store.dispose();
  }
}
