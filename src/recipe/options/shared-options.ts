import type { z } from "zod";
import { activationOptions } from "./shared/activation.js";
import { allocationOptions, bitsBudgetOptions } from "./shared/allocation.js";
import { boaOptions } from "./shared/boa.js";
import { cfpOptions } from "./shared/cfp.js";
import { endToEndOptions, finishOptions } from "./shared/end-to-end.js";
import { expertsOptions, expertTokensOptions } from "./shared/experts.js";
import { gptqOptions } from "./shared/gptq.js";
import { overridesOptions } from "./shared/overrides.js";
import { rangeOptions } from "./shared/range.js";
import { ratesOptions, scheduleOptions } from "./shared/rates.js";
import { rotationOptions } from "./shared/rotation.js";
import { roundingOptions } from "./shared/rounding.js";
import { windowOptions } from "./shared/window.js";

/** Options that recipes share, in the order in which help lists them; a recipe declares which of them it reads. */
export const sharedFragments = {
  window: windowOptions,
  rounding: roundingOptions,
  rates: ratesOptions,
  schedule: scheduleOptions,
  range: rangeOptions,
  gptq: gptqOptions,
  boa: boaOptions,
  rotation: rotationOptions,
  cfp: cfpOptions,
  activation: activationOptions,
  finish: finishOptions,
  endToEnd: endToEndOptions,
  experts: expertsOptions,
  expertTokens: expertTokensOptions,
  overrides: overridesOptions,
  bitsBudget: bitsBudgetOptions,
  allocation: allocationOptions,
};

/** Their schemas. */
export type SharedShape = {
  readonly [Key in keyof typeof sharedFragments]: (typeof sharedFragments)[Key]["schema"];
};

/** Their values, all of them. */
export type SharedOptions = z.output<z.ZodObject<SharedShape>>;
