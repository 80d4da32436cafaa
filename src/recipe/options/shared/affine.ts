import { z } from "zod";
import { OptionError } from "../../../errors.js";
import { fragment, part } from "../fragment.js";
import { count, fraction, positive, weight } from "../numbers.js";
import { always, setting, when } from "../reading.js";
import { augmentedBlockError } from "./block-error.js";

const transform = z
  .enum(["none", "affine"])
  .default("none")
  .describe(
    "what is trained and folded of a block before its window is: AffineQuant's transforms, in front of rounding to nearest and on the full-precision block's own input, or nothing",
  );

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
  norms: z
    .enum(["diagonal", "matrix"])
    .default("diagonal")
    .describe(
      "what stands behind norms: scales of channels, which fold into their gains, or a matrix behind these that only crossblock computes, hidden size squared for every token",
    ),
  queryKey: z
    .boolean()
    .default(true)
    .describe("matrices between queries and keys too, of pairs under rotary positions"),
  down: z.boolean().default(true).describe("scale the inputs of the MLP's last Linear too"),
  ...augmentedBlockError,
});
/** What a block's transforms are trained with. */
export type Affine = z.output<typeof affine>;

/** Transforms learn something. */
export const trainingTransforms = setting<{ readonly affine: Affine }>(
  "affine.epochs above 0",
  "affine.epochs=20",
  (options) => options.affine.epochs > 0,
);

type WithTransform = { readonly transform: z.output<typeof transform> };

/** Transforms are trained before windows are. */
export const transformingFirst = setting<WithTransform>(
  "transform=affine",
  "transform=affine",
  (options) => options.transform === "affine",
);

/** What is trained and folded of a block before its window is. */
export const transformOptions = fragment(transform, always);

/** @throws OptionError where the outliers that a transform takes care of are to be folded as well */
export function checkTransform(
  options: WithTransform & { readonly cfp: { readonly activations: boolean | null } },
): void {
  if (options.transform === "none" || options.cfp.activations !== true) return;
  throw new OptionError({
    where: "transform",
    what: '"affine" begins with scales of channels, which cfp.activations=true would choose as well',
    next: "use --set cfp.activations=false or --set transform=none",
  });
}

/** @throws OptionError where matrices behind norms could not be more than diagonals */
export function checkNorms({ norms, alpha, epochs }: Pick<Affine, "norms" | "alpha" | "epochs">): void {
  if (norms === "diagonal" || alpha > 0 || epochs === 0) return;
  throw new OptionError({
    where: "affine.norms",
    what: "affine.alpha=0 keeps matrices diagonal, and one behind a norm would be stored and change nothing",
    next: "use --set affine.norms=diagonal, or affine.alpha=0.1",
  });
}

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
    norms: when(trainingTransforms),
    queryKey: when(trainingTransforms),
    down: always,
    secondBranch: always,
    loss: always,
  },
);

/** Those that are read where the transforms are trained before windows are: on one input, so that there is no second branch. */
export const affineFirstOptions = part(affineOptions, {
  epochs: when(transformingFirst),
  batch: when(transformingFirst, trainingTransforms),
  rate: when(transformingFirst, trainingTransforms),
  clipRate: when(transformingFirst, trainingTransforms),
  alpha: when(transformingFirst, trainingTransforms),
  exponent: when(transformingFirst),
  shift: when(transformingFirst),
  queryKey: when(transformingFirst, trainingTransforms),
  down: when(transformingFirst),
  loss: when(transformingFirst, trainingTransforms),
});
