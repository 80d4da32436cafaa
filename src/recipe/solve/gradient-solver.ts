import { reconstruct } from "../../reconstruct/reconstruct.js";
import type { ReconstructionOptions } from "../../reconstruct/reconstruction-options.js";
import type { RecipeEvent } from "../job/recipe-job.js";
import type { WindowWork } from "../recipe.js";
import { trainingEvents } from "./training-events.js";

/** What a recipe says of the training of a window. */
export interface Training
  extends Pick<ReconstructionOptions, "epochs" | "batch" | "rates" | "finalRate" | "penalty" | "loss" | "beforeEpoch"> {
  /** What becomes of a window whose training never becomes finite, in the words of a warning. */
  readonly fallBack?: string;
}

/** Trains the parameters of a window's blocks on its loss. Returns whether anything was learnt. */
export function* gradient(work: WindowWork, training: Training): Generator<RecipeEvent, boolean> {
  const { job, blocks, input, targets, parts, index, windows, warnings } = work;
  if (input === null) throw new TypeError("training needs calibration text");
  const steps = reconstruct(blocks, input, targets, {
    ...training,
    parts,
    seed: job.seed * 65536 + index * 256,
    whileDeviceWorks: (seconds) => work.whileDeviceWorks(seconds),
  });
  const { fallBack = "its Linears get their codes from GPTQ" } = training;
  const place = { window: index, windows, epochs: training.epochs, fallBack };
  return yield* trainingEvents(job, steps, place, () => warnings.splice(0));
}
