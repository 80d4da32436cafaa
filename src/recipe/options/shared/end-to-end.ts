import { z } from "zod";
import { learningClips, quantizedInputs, withLastStage } from "../conditions.js";
import { fragment } from "../fragment.js";
import { count, fraction, positive } from "../numbers.js";
import { always, when } from "../reading.js";

/** What the stage behind the last window may train. */
export const finishOptions = fragment(z.enum(["auto", "none", "scales"]).default("auto"), always, {
  help: (recipes) => {
    const followed = recipes.filter((recipe) => recipe.followedByEndToEnd).map(({ name }) => name);
    return `last stage, all blocks at once on the model's output: train their scales, or none; auto trains them behind ${followed.join(" and ")} where memory allows it`;
  },
});

// Four epochs at 0.001: docs/ablations.md, "The last stage".
const endToEnd = z.strictObject({
  loss: z
    .enum(["divergence", "next-token"])
    .default("divergence")
    .describe(
      "what the output is held against: the probabilities of the full-precision network, or the next tokens of the text",
    ),
  epochs: count.default(4).describe("passes over the calibration windows"),
  // 8 sequences lose to 4 at W2, W3 and W4A4, with two seeds each (docs/ablations.md, "4 sequences a step in the last stage").
  batch: count.default(4).describe("sequences per optimisation step"),
  scaleRate: positive.default(1e-3).describe("Adam rate of the scales, relative to the scale"),
  activationRate: positive.default(5e-3).describe("Adam rate of the activation clips, relative to the clip"),
  warmup: fraction.default(0).describe("fraction of the steps over which every rate rises to its full value"),
  clip: positive
    .nullable()
    .default(null)
    .describe("longest gradient of a step, over everything that is trained; null takes it as it is"),
});

/** How that stage trains. */
export const endToEndOptions = fragment(endToEnd.prefault({}), {
  loss: when(withLastStage),
  epochs: when(withLastStage),
  batch: when(withLastStage),
  scaleRate: when(withLastStage),
  activationRate: when(withLastStage, quantizedInputs, learningClips),
  warmup: when(withLastStage),
  clip: when(withLastStage),
});
