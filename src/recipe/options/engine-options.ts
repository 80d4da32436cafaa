import { quantizedInputs, withEndToEnd, withText } from "./conditions.js";
import { type Fragments, part } from "./fragment.js";
import { when } from "./reading.js";
import { activationOptions } from "./shared/activation.js";
import { allocationOptions, bitsBudgetOptions } from "./shared/allocation.js";
import { endToEndOptions, finishOptions } from "./shared/end-to-end.js";
import { expertsOptions, expertTokensOptions } from "./shared/experts.js";
import { overridesOptions } from "./shared/overrides.js";
import { rangeOptions } from "./shared/range.js";
import { scheduleOptions } from "./shared/rates.js";
import { rotationOptions } from "./shared/rotation.js";
import { windowOptions } from "./shared/window.js";
import type { SharedOptions } from "./shared-options.js";

/** What driver and end-to-end training read of the options of every recipe. */
export interface EngineOptions
  // What training never makes finite falls back to GPTQ's codes, and these to the nearest ones.
  extends Pick<
    SharedOptions,
    | "schedule"
    | "range"
    | "gptq"
    | "rotation"
    | "activation"
    | "finish"
    | "endToEnd"
    | "experts"
    | "expertTokens"
    | "overrides"
    | "bitsBudget"
    | "allocation"
  > {
  readonly window: Pick<SharedOptions["window"], "batch" | "microBatch">;
}

/** What every recipe reads, whatever it declares itself. */
export const engineFragments = {
  window: part(windowOptions, { microBatch: when(withText) }),
  schedule: part(scheduleOptions, { finalRate: when(withEndToEnd) }),
  range: rangeOptions,
  rotation: rotationOptions,
  activation: part(activationOptions, {
    granularity: when(quantizedInputs),
    learnClip: when(quantizedInputs, withEndToEnd),
  }),
  finish: finishOptions,
  endToEnd: endToEndOptions,
  experts: expertsOptions,
  expertTokens: expertTokensOptions,
  overrides: overridesOptions,
  bitsBudget: bitsBudgetOptions,
  allocation: allocationOptions,
} satisfies Fragments;
