import { z } from "zod";
import { asymmetric, learningClips, quantizedInputs, withTraining } from "../conditions.js";
import { fragment } from "../fragment.js";
import { fraction, positive } from "../numbers.js";
import { when } from "../reading.js";

// Twice the rate of V 41.0; twice and half that of the scales 38.5 and 42.0 (27.4 both at 3 bits, where 27.0 is the default's).
const rates = z.strictObject({
  rounding: positive.default(5e-3).describe("Adam rate of the rounding parameters, in code units"),
  scale: positive.default(2e-3).describe("Adam rate of the scales, relative to the scale"),
  zeroPoint: positive.default(5e-3).describe("Adam rate of the zero points, in code units"),
  activation: positive.default(1e-2).describe("Adam rate of the activation clips, relative to the clip"),
});

/** How fast windows are trained. */
export const ratesOptions = fragment(rates.prefault({}).describe("how fast windows are trained"), {
  rounding: when(withTraining),
  scale: when(withTraining),
  zeroPoint: when(asymmetric, withTraining),
  activation: when(quantizedInputs, learningClips, withTraining),
});

const schedule = z.strictObject({
  finalRate: fraction.default(0.05).describe("fraction of every rate left at the last step of the cosine"),
});

/** How rates fall while windows are trained; end-to-end training reads it as well. */
export const scheduleOptions = fragment(schedule.prefault({}).describe("how rates fall during training"), {
  finalRate: when(withTraining),
});
