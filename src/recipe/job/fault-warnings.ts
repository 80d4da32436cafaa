import type { TrainingFault } from "../../reconstruct/reconstruct.js";
import type { Device } from "../../tensor/index.js";
import type { WarningEvent } from "./recipe-job.js";

/** Says that fewer sequences are on the device at once from now on. */
export function smallerParts(device: Device, sequences: number): WarningEvent {
  return {
    event: "warning",
    message: `memory ran out: ${sequences} sequences at once from now on, and what failed is done again`,
    where: `device ${device}`,
    next: `give --set window.microBatch=${sequences} next time; a code in a thousand may differ, as other sums are rounded`,
  };
}

/** Says that training of some Linears starts from round to nearest in place of GPTQ. */
export function unusableMoments(block: number, roles: readonly string[]): WarningEvent {
  return {
    event: "warning",
    message: "the second moments of the inputs are not finite: training starts from round to nearest",
    where: `block ${block}: ${roles.join(", ")}`,
    next: "look for values that overflow in this block",
  };
}

/** Says what went wrong in the training of a window, and what was done about it; `fallBack` is what comes of giving up. */
export function trainingWarning(
  { fault, step, steps, rate }: TrainingFault,
  window: number,
  fallBack: string,
): WarningEvent {
  const messages: Readonly<Record<TrainingFault["fault"], string>> = {
    skipped: `loss or gradient of step ${step} of ${steps} is not finite: the step is skipped`,
    "rolled back": `back to the best state after step ${step} of ${steps}; the rates are ${rate} of what they were`,
    "given up": `training never becomes finite: ${fallBack}`,
    "put back":
      "training ends with ten times the loss that it began with, or none that is finite: back to its best epoch",
    diverged: `training ends with ten times the loss that it began with, or none that is finite: ${fallBack}`,
  };
  return {
    event: "warning",
    message: messages[fault],
    where: `window ${window + 1}`,
    next:
      fault === "put back" || fault === "diverged"
        ? "use lower rates, those that were set by hand first"
        : "nothing to do; if the result is poor, lower the rates or use --set compute.dtype=float32",
  };
}

/** Says that a training of the whole network left the loss as high as it was; `becomes` is what comes of it, behind a colon. */
export function notLowered(
  training: string,
  { begun, now }: { readonly begun: number; readonly now: number },
  { becomes, next }: { readonly becomes?: string; readonly next: string },
): WarningEvent {
  const losses = `${begun.toPrecision(4)}, then ${now.toPrecision(4)}`;
  return {
    event: "warning",
    message: `${training} did not lower the loss (${losses})${becomes === undefined ? "" : `: ${becomes}`}`,
    where: "all blocks",
    next,
  };
}
