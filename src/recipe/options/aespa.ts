import { z } from "zod";
import { fragment } from "./fragment.js";
import { fraction, positive, weight } from "./numbers.js";
import { always, setting, when } from "./reading.js";

const aespaGroup = z.strictObject({
  zFold: z
    .int()
    .min(0)
    .default(30)
    .describe("most rounds in which grids and factors of the columns are fitted; 0 folds nothing"),
  start: z
    .enum(["boa", "gptq"])
    .default("boa")
    .describe("whose codes and corrected weight roundings start from: BoA's, or those of GPTQ (the paper)"),
  iterations: z.int().min(0).default(500).describe("steps of Adam, per Linear"),
  rate: positive.default(5e-2).describe("Adam rate of the roundings: 0.015 is the paper's"),
  scaleRate: weight
    .default(0)
    .describe("Adam rate of the scales, relative to the scale; 0 leaves them as they are (the paper)"),
  softness: positive
    .max(1)
    .default(1)
    .describe(
      "how far from its code a weight begins: 1 at the weight that the solver corrected (the paper), near 0 at the code",
    ),
  // With 1 few roundings are decided at the end, and what hardening then loses is more than training gained.
  penalty: weight
    .default(30)
    .describe("weight of the rounding penalty, where the codes that training starts from lose 1"),
  attentionPenalty: weight.default(45).describe("the same for queries, keys and values"),
  warmup: fraction.default(0.2).describe("fraction of the steps without the penalty"),
  betaStart: positive.default(20).describe("its exponent after the warm-up"),
  betaEnd: positive.default(2).describe("its exponent at the last step"),
});

type Aespa = z.output<typeof aespaGroup>;
const training = setting<{ readonly aespa: Aespa }>(
  "aespa.iterations above 0",
  "aespa.iterations=500",
  (options) => options.aespa.iterations > 0,
);
const trained = when(training);
/** Roundings start from BoA's codes. */
export const startingFromBoa = setting<{ readonly aespa: Aespa }>(
  "aespa.start=boa",
  "aespa.start=boa",
  (options) => options.aespa.start === "boa",
);

/** How aespa learns the roundings of a Linear. */
export const aespaOptions = fragment(aespaGroup.prefault({}), {
  zFold: always,
  start: always,
  iterations: always,
  rate: trained,
  scaleRate: trained,
  softness: trained,
  penalty: trained,
  attentionPenalty: trained,
  warmup: trained,
  betaStart: trained,
  betaEnd: trained,
});
