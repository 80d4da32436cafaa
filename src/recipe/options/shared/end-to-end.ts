import { z } from "zod";
import { learningClips, quantizedInputs, withEndToEnd } from "../conditions.js";
import { fragment } from "../fragment.js";
import { count, fraction, positive } from "../numbers.js";
import { always, when } from "../reading.js";

/** What may be trained end to end after the last window. */
export const finishOptions = fragment(z.enum(["auto", "none", "scales"]).default("auto"), always, {
  help: (recipes) => {
    const followed = recipes.filter((recipe) => recipe.followedByEndToEnd).map(({ name }) => name);
    return `end-to-end training after the last window, all blocks at once on the model's output: their scales, or none; auto trains them after ${followed.join(" and ")} where memory allows it`;
  },
});

// Four epochs at 0.001: docs/measurements/ablations.md, "End to end".
const endToEnd = z.strictObject({
  loss: z
    .enum(["divergence", "next-token"])
    .default("divergence")
    .describe(
      "what the output is held against: the probabilities of the full-precision network, or the next tokens of the text",
    ),
  epochs: count.default(4).describe("passes over the calibration sequences"),
  // 8 sequences lose to 4 at W2, W3 and W4A4, with two seeds each (docs/measurements/ablations.md, "Every lever of a window").
  batch: count.default(4).describe("sequences per optimisation step"),
  scaleRate: positive.default(1e-3).describe("Adam rate of the scales, relative to the scale"),
  activationRate: positive.default(5e-3).describe("Adam rate of the activation clips, relative to the clip"),
  warmup: fraction.default(0).describe("fraction of the steps over which every rate rises to its full value"),
  // fp32 has no factor for less.
  clip: z
    .number()
    .min(1e-9)
    .nullable()
    .default(null)
    .describe("longest gradient of a step, over everything that is trained; null takes it as it is"),
});

/** How they are trained. */
export const endToEndOptions = fragment(
  endToEnd.prefault({}).describe("how all blocks are trained end to end after the last window"),
  {
    loss: when(withEndToEnd),
    epochs: when(withEndToEnd),
    batch: when(withEndToEnd),
    scaleRate: when(withEndToEnd),
    activationRate: when(withEndToEnd, quantizedInputs, learningClips),
    warmup: when(withEndToEnd),
    clip: when(withEndToEnd),
  },
);
