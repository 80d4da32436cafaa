import { z } from "zod";
import { fragment } from "../fragment.js";
import { fraction, positive, weight } from "../numbers.js";
import { always, type ReadCondition, setting, when } from "../reading.js";

const cfp = z.strictObject({
  weights: z.boolean().default(false).describe("truncate outliers of the weights before quantization"),
  activations: z
    .boolean()
    .nullable()
    .default(null)
    .describe(
      "fold outliers of the activations into the weights; null does so where inputs have 4 bits and nothing was rotated",
    ),
  detection: z
    .enum(["paper", "msmodelslim"])
    .default("paper")
    .describe(
      "how outliers are found: paper by quartiles of magnitudes, msmodelslim by quantiles 0.2 and 0.8 of either sign (Huawei's tool)",
    ),
  exponent: fraction.default(0.5).describe("exponent of an outlier channel's scale"),
  lambda1: positive.default(1.5).describe("interquartile ranges above the third quartile where candidates begin"),
  lambda2: weight.default(1).describe("weight of the variance of what is kept"),
  perRow: z.boolean().default(false).describe("detect the outliers of a weight per output row, not per tensor"),
});

type WithCfp = z.output<z.ZodObject<{ cfp: typeof cfp }>>;

const truncating = setting<WithCfp>("cfp.weights=true", "cfp.weights=true", (options) => options.cfp.weights);
const folds = setting<WithCfp>(
  "cfp.activations=true",
  "cfp.activations=true",
  (options) => options.cfp.activations === true,
);
const leftOpen = setting<WithCfp>("", "", (options) => options.cfp.activations === null);
// Where both are left open the model decides: what can be rotated is not folded.
const folding = {
  ...folds,
  mayHold: (context) => folds.holds(context) || (leftOpen.holds(context) && context.activationBits <= 4),
} satisfies ReadCondition;
const detecting: ReadCondition = {
  text: "cfp.weights=true or cfp.activations=true",
  action: "use --set cfp.weights=true or cfp.activations=true",
  holds: (context) => truncating.holds(context) || folding.holds(context),
  mayHold: (context) => truncating.holds(context) || folding.mayHold(context),
};

/** Coarse-to-fine pre-processing: what is done about outliers before a window is trained. */
export const cfpOptions = fragment(
  cfp.prefault({}).describe("what is done about outliers before a window is trained"),
  {
    weights: always,
    activations: always,
    detection: when(detecting),
    exponent: when(folding),
    lambda1: when(detecting),
    lambda2: when(detecting),
    perRow: when(truncating),
  },
  {
    dependentDefaults: [
      // That of Huawei's released tool.
      { option: "cfp.detection", value: "msmodelslim", defaults: { cfp: { exponent: 0.7 } } },
    ],
  },
);
