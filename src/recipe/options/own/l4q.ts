import { z } from "zod";
import { asymmetric, learningClips, quantizedInputs } from "../conditions.js";
import { fragment } from "../fragment.js";
import { count, fraction, positive, weight } from "../numbers.js";
import { always, setting, when } from "../reading.js";

const l4q = z.strictObject({
  rank: count.default(4).describe("rank of the low-rank term; the paper has 4, and 8 for Mistral"),
  alpha: positive.default(16).describe("the low-rank term is multiplied with this over its rank"),
  start: z
    .enum(["boa", "gptq", "nearest"])
    .default("boa")
    .describe(
      "what the first codes are: those of BoA or GPTQ, on the text's first sequences, or the weights rounded to nearest (the paper)",
    ),
  slack: fraction
    .default(1)
    .describe(
      "where between codes the weight begins: 1 where the solver had it before it rounded, 0 on the codes, which then change only behind half a step",
    ),
  loss: z
    .enum(["answers", "all"])
    .default("answers")
    .describe(
      "which tokens count: of conversations those of the assistant, or all; text that is no conversation counts whole",
    ),
  epochs: count.default(3).describe("passes over the text"),
  pieces: count
    .default(1)
    .describe("windows that an epoch counts for: a run that is stopped continues behind the last one"),
  batch: count.default(8).describe("sequences per optimisation step"),
  unit: z
    .enum(["scale", "absolute"])
    .default("scale")
    .describe("what the rate of scales is in: the mean scale of each Linear, or absolute numbers"),
  // What these rest on: docs/measurements/training.md.
  rate: positive.default(2e-3).describe("AdamW rate of the low-rank term"),
  scaleRate: positive.default(3e-3).describe("Adam rate of the scales"),
  // Offsets are rounded: at a tenth of it none comes half a step far in as few steps as fine-tuning takes.
  offsetRate: positive.default(3e-2).describe("Adam rate of the offsets, in steps of the grid"),
  activationRate: positive.default(5e-3).describe("Adam rate of the activation clips, relative to the clip"),
  decay: weight.default(0.01).describe("weight decay of the low-rank term"),
  warmup: fraction.default(0.1).describe("fraction of the steps over which every rate rises to its full value"),
  finalRate: fraction.default(0).describe("what a cosine takes every rate down to, as a share of it"),
  clip: z
    .number()
    .min(1e-9)
    .nullable()
    .default(1)
    .describe("longest gradient of a step, over everything that is trained; null takes it as it is"),
});

/** Weights begin where GPTQ or BoA rounded them. */
export const startingFromColumns = setting<{ readonly l4q: z.output<typeof l4q> }>(
  "l4q.start=boa or gptq",
  "l4q.start=boa",
  (options) => options.l4q.start !== "nearest",
);
/** Weights begin where BoA rounded them. */
export const startingFromBoa = setting<{ readonly l4q: z.output<typeof l4q> }>(
  "l4q.start=boa",
  "l4q.start=boa",
  (options) => options.l4q.start === "boa",
);

/** How L4Q fine-tunes and quantizes together. */
export const l4qOptions = fragment(l4q.prefault({}).describe("how L4Q fine-tunes and quantizes together"), {
  rank: always,
  alpha: always,
  start: always,
  slack: when(startingFromColumns),
  loss: always,
  epochs: always,
  pieces: always,
  batch: always,
  unit: always,
  rate: always,
  scaleRate: always,
  offsetRate: when(asymmetric),
  activationRate: when(quantizedInputs, learningClips),
  decay: always,
  warmup: always,
  finalRate: always,
  clip: always,
});
