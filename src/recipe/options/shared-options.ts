import type { z } from "zod";
import { activationOptions } from "./activation.js";
import { cfpOptions } from "./cfp.js";
import { endToEndOptions, finishOptions } from "./end-to-end.js";
import { gptqOptions } from "./gptq.js";
import { overridesOptions } from "./overrides.js";
import { rangeOptions } from "./range.js";
import { ratesOptions, scheduleOptions } from "./rates.js";
import { rotationOptions } from "./rotation.js";
import { roundingOptions } from "./rounding.js";
import { windowOptions } from "./window.js";

/** Options that recipes share, in the order in which help lists them; a recipe declares which of them it reads. */
export const sharedFragments = {
  window: windowOptions,
  rounding: roundingOptions,
  rates: ratesOptions,
  schedule: scheduleOptions,
  range: rangeOptions,
  gptq: gptqOptions,
  rotation: rotationOptions,
  cfp: cfpOptions,
  activation: activationOptions,
  finish: finishOptions,
  endToEnd: endToEndOptions,
  overrides: overridesOptions,
};

/** Their schemas. */
export type SharedShape = {
  readonly [Key in keyof typeof sharedFragments]: (typeof sharedFragments)[Key]["schema"];
};

/** Their values, all of them. */
export type SharedOptions = z.output<z.ZodObject<SharedShape>>;
