import { searchRange } from "../quant/grid/range.js";
import { fixedStep, learntStep } from "../quant/input/activation.js";
import { ClippedWeight, clipAt, clipOf, PAPER_SHARE } from "../quant/weight-path/clip/clipped-weight.js";
import { squaredError } from "../reconstruct/objective/objective.js";
import type { QuantizedUnit } from "../reconstruct/quantized-unit.js";
import { overTargets } from "../reconstruct/reconstruct.js";
import { singleBlocks } from "../reconstruct/schedule.js";
import { noGrad, scope } from "../tensor/index.js";
import { affineParameters } from "../transform/affine/affine-parameters.js";
import { affineProducts } from "../transform/affine/affine-products.js";
import { AffineTransform } from "../transform/affine/affine-transform.js";
import { calibrateStaticInputs } from "./measure/static-ranges.js";
import { learningClips, quantizedInputs } from "./options/conditions.js";
import { part } from "./options/fragment.js";
import { when } from "./options/reading.js";
import { activationOptions } from "./options/shared/activation.js";
import { type Affine, affineOptions, checkNorms, trainingTransforms } from "./options/shared/affine.js";
import { gptqOptions } from "./options/shared/gptq.js";
import { candidatesOf } from "./options/shared/range.js";
import { ratesOptions, scheduleOptions } from "./options/shared/rates.js";
import type { SharedOptions } from "./options/shared-options.js";
import { defineRecipe } from "./recipe.js";
import { foldUnit } from "./solve/fold-unit.js";
import { gradient, type Training } from "./solve/gradient-solver.js";

/**
 * AffineQuant: what passes from one Linear to the next is multiplied by an invertible matrix where it is made and by the inverse
 * where it is read, so that both quantize better and the block computes the same. Matrices and the clips of the weights' ranges are
 * trained together, block by block, on the squared error of the block's output.
 * The matrices fold into the weights, but for the one behind a norm, of which the diagonal does: it stays a product of hidden size
 * squared for every token, which only crossblock computes (`affine.norms=matrix`). "No overhead" in the paper holds for the
 * diagonal too.
 * Source: arXiv 2403.12544, section 3.
 */
export const affineQuant = defineRecipe({
  name: "affine-quant",
  title: "AffineQuant: matrices between Linears that make them easier to quantize",
  paper: "arXiv 2403.12544",
  onlyText: "folds matrices along the norms and Linears of a decoder",
  about: {
    trains: "scales of channels, matrices of heads, clips of the weights' ranges",
    use: "4-bit inputs, where single channels are outliers",
    cost: "some 60 passes over the text",
  },
  options: {
    affine: affineOptions,
    activation: activationOptions,
    rates: part(ratesOptions, { activation: when(quantizedInputs, learningClips, trainingTransforms) }),
    schedule: part(scheduleOptions, { finalRate: when(trainingTransforms) }),
    // Where training never becomes finite.
    gptq: gptqOptions,
  },
  presets: {
    default: {},
    // 128 sequences of 2,048 tokens; 40 epochs at 2 bits, and alpha from 0.01 to 1 by model. Otherwise than there, matrices are
    // relative to the scales that they begin with, inputs have symmetric ranges, and norms keep their diagonals.
    paper: {
      affine: { epochs: 20, batch: 1, rate: 5e-3, down: false, loss: "plain" },
      activation: { learnClip: false },
      range: { search: false },
      schedule: { finalRate: 1 },
    },
  },
  efforts: { quick: { affine: { epochs: 6, batch: 1 } }, best: { affine: { epochs: 40 } } },
  training: when(trainingTransforms),
  needsText: true,
  followedByEndToEnd: false,
  rotatesByDefault: false,
  windows: singleBlocks,
  normMatrices: ({ affine }) => affine.norms === "matrix" && affine.epochs > 0,
  // The quantized block sees the quantized stream; its target is the full-precision block on its own stream, or on both.
  chain: ({ affine }) => ({
    input: "quantized",
    targets: affine.secondBranch ? ["full", "fullOfQuantized"] : ["full"],
  }),
  error: (target, actual, { affine }) => squaredError(target, actual, affine.loss),
  cost: ({ affine }) => ({
    trains: true,
    batch: affine.batch,
    moments: "none",
    folds: true,
    passes: 3 * affine.epochs + 4,
    // Two clips of each range.
    parameters: ({ groups }) => 2 * groups,
    normParameters: 0,
    transformParameters: (unit) => affineParameters(unit, affine),
    transformProducts: (unit) => affineProducts(unit, affine),
  }),

  check: ({ affine }) => checkNorms(affine),

  prepare(block, stream, work) {
    const { job, parts } = work;
    const { affine, range, activation } = job.options;
    if (stream === null) throw new TypeError("affine-quant needs calibration text");
    foldUnit(job, block, stream, parts, (weights, extremes, storedType) => {
      const options = { ...affine, storedType };
      const transform = new AffineTransform(block.plan, weights, extremes, (name) => block.layers.has(name), options);
      block.transformBy(transform, job.dtype);
      // Norms are handed over once, as training leaves them.
      return [];
    });
    block.castWeights(job.dtype);
    calibrateStaticInputs(job, block, stream, activation.learnClip ? learntStep : fixedStep);
    for (const [role, layer] of block.layers) {
      job.poll();
      noGrad(() =>
        scope(() => {
          const weight = block.transformedWeight(role);
          const grid = searchRange(weight, layer.scheme, layer.name, { candidates: candidatesOf(range) });
          const start = range.search ? clipOf(weight, grid) : clipAt(PAPER_SHARE, grid);
          const { bits, symmetric, groupSize } = grid;
          layer.learn(new ClippedWeight(() => block.transformedWeight(role), { bits, symmetric, groupSize }, start));
        }),
      );
    }
  },

  // min over A, d and the clips of |F(X_f, W) - F(A^-1 (X_q - d), Q(A W))|^2, F the block.
  solve: (work) => gradient(work, affineTraining(work.job.options, work.blocks)),
});

/** What the training of transforms reads. */
interface AffineTraining extends Pick<SharedOptions, "schedule"> {
  readonly affine: Omit<Affine, "secondBranch" | "norms">;
  readonly rates: Pick<SharedOptions["rates"], "activation">;
}

/** How the transforms of blocks are trained. */
export function affineTraining(
  { affine, schedule, rates }: AffineTraining,
  blocks: readonly QuantizedUnit[],
): Training {
  return {
    epochs: affine.epochs,
    batch: affine.batch,
    loss: overTargets((target, actual) => squaredError(target, actual, affine.loss)),
    rates: { affine: affine.rate, clip: affine.clipRate, input: rates.activation },
    finalRate: schedule.finalRate,
    // The gradual mask: diagonals join from the inside outwards, so that matrices stay invertible while they learn. Nothing in
    // the loss keeps them so: those that are no longer dominated by their diagonals count for less from the next epoch on.
    beforeEpoch: (epoch) => {
      for (const { transform } of blocks) transform?.enterEpoch(epoch, affine.epochs);
    },
  };
}
