import { z } from "zod";
import { asymmetric } from "./conditions.js";
import { fragment } from "./fragment.js";
import { count, positive } from "./numbers.js";
import { always, setting, when } from "./reading.js";
import { blockError } from "./shared/block-error.js";

const blockAp = z.strictObject({
  train: z
    .enum(["weights", "rounding", "scales"])
    .default("weights")
    .describe("what is trained beside scales and zero points: the weights, how they are rounded, or nothing"),
  weightedRange: z
    .boolean()
    .default(true)
    // 31.2 without it, 28.5 with it, at a rate of 5e-3.
    .describe("weigh the search of starting ranges with the mean squares of the inputs"),
  norms: z.boolean().default(true).describe("train the gains of the norms too, as the released code does"),
  epochs: z.int().min(0).default(4).describe("passes over the calibration sequences, per block"),
  // 4 sequences 32.5, 2 28.5, at a rate of 5e-3.
  batch: count.default(2).describe("sequences per optimisation step"),
  unit: z
    .enum(["scale", "absolute"])
    .default("scale")
    .describe("what the rates of weights and scales are in: the mean scale of each Linear, or absolute numbers"),
  // 2e-3 35.8, 5e-3 28.5, 1e-2 26.7, 2e-2 27.0 on SmolLM2-135M at W2A16g64 asym (docs/measurements/ablations.md).
  weightRate: positive.default(1e-2).describe("Adam rate of the weights, or of how they are rounded"),
  scaleRate: positive.default(2e-3).describe("Adam rate of the scales"),
  zeroPointRate: positive.default(5e-3).describe("Adam rate of the zero points, in code units"),
  normRate: positive.default(1e-3).describe("Adam rate of the norms' gains"),
  ...blockError,
});
/** What a block is trained with. */
export type BlockAp = z.output<typeof blockAp>;

/** Blocks learn something. */
export const trainingBlocks = setting<{ readonly blockAp: BlockAp }>(
  "blockAp.epochs above 0",
  "blockAp.epochs=4",
  (o) => o.blockAp.epochs > 0,
);
const trainingNorms = setting<{ readonly blockAp: BlockAp }>(
  "blockAp.norms=true",
  "blockAp.norms=true",
  (o) => o.blockAp.norms,
);
const trainingWeights = setting<{ readonly blockAp: BlockAp }>(
  "blockAp.train=weights or rounding",
  "blockAp.train=weights",
  (o) => o.blockAp.train !== "scales",
);

/** How EfficientQAT trains a block as a whole. */
export const blockApOptions = fragment(blockAp.prefault({}).describe("how EfficientQAT trains a block as a whole"), {
  train: always,
  weightedRange: always,
  norms: when(trainingBlocks),
  epochs: always,
  batch: when(trainingBlocks),
  unit: when(trainingBlocks),
  weightRate: when(trainingBlocks, trainingWeights),
  scaleRate: when(trainingBlocks),
  zeroPointRate: when(trainingBlocks, asymmetric),
  normRate: when(trainingBlocks, trainingNorms),
  loss: always,
});
