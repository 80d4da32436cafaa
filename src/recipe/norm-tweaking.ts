import { z } from "zod";
import { channelMoments } from "../reconstruct/objective/channel-moments.js";
import { overTargets } from "../reconstruct/reconstruct.js";
import { gptq } from "./gptq.js";
import { fragment } from "./options/fragment.js";
import { count, positive } from "./options/numbers.js";
import { always, setting, when } from "./options/reading.js";
import { gptqOptions } from "./options/shared/gptq.js";
import { defineRecipe } from "./recipe.js";
import { columns } from "./solve/column-solver.js";
import { gradient } from "./solve/gradient-solver.js";
import { gptqRule } from "./solve/layer-rule.js";

const normTweaking = z.strictObject({
  // 5e-4 56.0, 1e-3 55.1, 2e-3 56.2 on SmolLM2-135M at W2A16g64 asym, after GPTQ's 84.3 (docs/measurements/ablations.md).
  rate: positive.default(1e-3).describe("Adam rate of the norms at the first block"),
  growth: z
    .number()
    .min(0)
    .default(0)
    .describe("how much the rate grows to the last block: rate (1 + growth i / blocks)"),
  // More passes overfit: ten give 65.8 where one gives 57.8 (squares).
  epochs: z.int().min(0).default(1).describe("passes over the calibration sequences, per block"),
  batch: count.default(1).describe("sequences per optimisation step; the moments are those of a step"),
  moments: z
    .enum(["mean", "squares"])
    .default("mean")
    // 55.1 and 57.8.
    .describe(
      "how channels are compared: absolute differences of means and variances (the paper), or squares of means and deviations",
    ),
});

const training = setting<{ readonly normTweaking: z.output<typeof normTweaking> }>(
  "normTweaking.epochs above 0",
  "normTweaking.epochs=1",
  (options) => options.normTweaking.epochs > 0,
);

/**
 * Norm Tweaking: after GPTQ, block by block, the gains and shifts of the norms learn to give the channels of a block's
 * output the means and variances that the full-precision block has on the same quantized input. A target from the
 * full-precision stream is another method.
 * Source: arXiv 2309.02784, algorithm 1 and equations 2 and 3.
 */
export const normTweakingRecipe = defineRecipe({
  name: "norm-tweaking",
  title: "Norm Tweaking: norms that repair what GPTQ did to a block's channels",
  paper: "arXiv 2309.02784",
  onlyText: "trains the norms of decoder blocks",
  about: {
    trains: "gains and shifts of the norms, after GPTQ",
    use: "a little more than GPTQ gives, at nearly its cost",
    cost: "a few passes over the text",
  },
  options: {
    normTweaking: fragment(normTweaking.prefault({}).describe("how Norm Tweaking trains the norms of a block"), {
      rate: when(training),
      growth: when(training),
      epochs: always,
      batch: when(training),
      moments: always,
    }),
    gptq: gptqOptions,
  },
  // The paper searches rates from 1e-5 on; released code has 1e-6 and a growth of 100.
  presets: { default: {}, paper: { normTweaking: { rate: 1e-5 } } },
  training: when(training),
  trainsLinears: false,
  needsText: true,
  followedByEndToEnd: false,
  rotatesByDefault: false,
  windows: gptq.windows,
  prepare: gptq.prepare,
  chain: () => ({ input: "quantized", targets: ["fullOfQuantized"] }),
  error: (target, actual, { normTweaking: { moments } }) => channelMoments(target, actual, moments),
  cost: ({ normTweaking: { epochs, batch } }, hiddenSize = 0) => ({
    trains: true,
    batch,
    moments: "site",
    passes: 3 * epochs + 4,
    parameters: () => 0,
    normParameters: 2 * hiddenSize,
  }),

  *solve(work) {
    const { job, index, blocks } = work;
    const { rate, growth, epochs, batch, moments } = job.options.normTweaking;
    yield* columns(work, gptqRule(job.options));
    // Where no weight is quantized only the rounding of sums differs: nothing to repair.
    for (const block of blocks) if (block.layers.size > 0) block.trainNorms();
    return yield* gradient(work, {
      epochs,
      batch,
      loss: overTargets((target, actual) => channelMoments(target, actual, moments)),
      rates: { norm: rate * (1 + (growth * index) / job.network.units.length) },
      finalRate: 1,
      fallBack: "its norms stay as they were",
    });
  },
});
