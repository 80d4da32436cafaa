import { activationOptions } from "./options/activation.js";
import { quantizedInputs, withLastStage, withText } from "./options/conditions.js";
import { endToEndOptions, finishOptions } from "./options/end-to-end.js";
import { type Fragments, part } from "./options/fragment.js";
import { overridesOptions } from "./options/overrides.js";
import { rangeOptions } from "./options/range.js";
import { scheduleOptions } from "./options/rates.js";
import { when } from "./options/reading.js";
import { rotationOptions } from "./options/rotation.js";
import type { SharedOptions } from "./options/shared-options.js";
import { windowOptions } from "./options/window.js";

/** What driver and last stage read of the options of every recipe. */
export interface EngineOptions
  // What training never makes finite falls back to GPTQ's codes, and these to the nearest ones.
  extends Pick<
    SharedOptions,
    "schedule" | "range" | "gptq" | "rotation" | "activation" | "finish" | "endToEnd" | "overrides"
  > {
  readonly window: Pick<SharedOptions["window"], "batch" | "microBatch">;
}

/** What every recipe reads, whatever it declares itself. */
export const engineFragments = {
  window: part(windowOptions, { microBatch: when(withText) }),
  schedule: part(scheduleOptions, { finalRate: when(withLastStage) }),
  range: rangeOptions,
  rotation: rotationOptions,
  activation: part(activationOptions, {
    granularity: when(quantizedInputs),
    learnClip: when(quantizedInputs, withLastStage),
  }),
  finish: finishOptions,
  endToEnd: endToEndOptions,
  overrides: overridesOptions,
} satisfies Fragments;
