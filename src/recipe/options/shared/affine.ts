import { z } from "zod";
import { fragment } from "../fragment.js";
import { count, fraction, positive, weight } from "../numbers.js";
import { always, setting, when } from "../reading.js";

const affine = z.strictObject({
  epochs: z.int().min(0).default(20).describe("passes over the calibration sequences, per block"),
  batch: count.default(4).describe("sequences per optimisation step"),
  rate: positive.default(1e-2).describe("Adam rate of the matrices, relative to the scales that they begin with"),
  clipRate: positive.default(1e-2).describe("Adam rate of the logits of the weights' clips"),
  // Released scripts have 0.01, 0.1 and 1, by model and scheme.
  alpha: weight
    .default(0.1)
    .describe("what a matrix's elements beside the diagonal are multiplied by; 0 keeps matrices diagonal"),
  exponent: fraction.default(0.5).describe("exponent of the activations in the scales that training begins with"),
  shift: z.boolean().default(true).describe("shift channels too, where a LayerNorm makes them"),
  queryKey: z
    .boolean()
    .default(true)
    .describe("matrices between queries and keys too, of pairs under rotary positions"),
  down: z.boolean().default(true).describe("scale the inputs of the MLP's last Linear too"),
  secondBranch: z
    .boolean()
    .default(false)
    .describe("also reconstruct what the full-precision block makes of the quantized stream (the augmented loss)"),
  loss: z
    .enum(["plain", "token"])
    .default("token")
    .describe("squared error: plain (the paper), or divided by each token's own magnitude"),
});
/** What a block's transforms are trained with. */
export type Affine = z.output<typeof affine>;

/** Transforms learn something. */
export const trainingTransforms = setting<{ readonly affine: Affine }>(
  "affine.epochs above 0",
  "affine.epochs=20",
  (options) => options.affine.epochs > 0,
);

/** AffineQuant's transforms, and how they are trained. */
export const affineOptions = fragment(
  affine.prefault({}).describe("AffineQuant's transforms, and how they are trained"),
  {
    epochs: always,
    batch: when(trainingTransforms),
    rate: when(trainingTransforms),
    clipRate: when(trainingTransforms),
    alpha: when(trainingTransforms),
    exponent: always,
    shift: always,
    queryKey: when(trainingTransforms),
    down: always,
    secondBranch: always,
    loss: always,
  },
);
