import { searchRange } from "../quant/grid/range.js";
import { fixedStep, learntStep } from "../quant/input/activation.js";
import { CodeUnitRounding } from "../quant/weight-path/code-unit-rounding.js";
import { TrainedWeight } from "../quant/weight-path/trained-weight.js";
import type { WeightPath } from "../quant/weight-path/weight-path.js";
import { squaredError } from "../reconstruct/objective/objective.js";
import { overTargets } from "../reconstruct/reconstruct.js";
import { singleBlocks } from "../reconstruct/schedule.js";
import { noGrad, scope } from "../tensor/index.js";
import { calibrateStaticInputs } from "./measure/static-ranges.js";
import { collectUnitMoments } from "./measure/unit-moments.js";
import { blockApOptions, trainingBlocks } from "./options/block-ap.js";
import { learningClips, quantizedInputs } from "./options/conditions.js";
import { part } from "./options/fragment.js";
import { when } from "./options/reading.js";
import { activationOptions } from "./options/shared/activation.js";
import { gptqOptions } from "./options/shared/gptq.js";
import { candidatesOf } from "./options/shared/range.js";
import { ratesOptions, scheduleOptions } from "./options/shared/rates.js";
import { defineRecipe, gridParameterCount } from "./recipe.js";
import { chooseEach } from "./solve/each-expert.js";
import { gradient } from "./solve/gradient-solver.js";

/**
 * EfficientQAT. Block-AP: each block in turn, every Linear behind a uniform quantizer, is trained as a whole on the
 * squared error of its output, weights, scales and zero points together. E2E-QP, end to end: the codes stay, the
 * scales of all blocks learn end to end.
 * Source: arXiv 2407.11062, sections 3.2 and 3.3. Released code clamps zero points in the forward pass and packs them
 * unclamped; here they are clamped before they are packed.
 */
export const efficientQat = defineRecipe({
  name: "efficient-qat",
  title: "EfficientQAT: each block trained as a whole, then all scales end to end",
  paper: "arXiv 2407.11062",
  about: {
    trains: "weights, scales and zero points block by block, then all scales",
    use: "2 and 3 bits, where much text is at hand",
    cost: "some 30 passes over the text",
  },
  options: {
    blockAp: blockApOptions,
    activation: activationOptions,
    rates: part(ratesOptions, { activation: when(quantizedInputs, learningClips, trainingBlocks) }),
    schedule: part(scheduleOptions, { finalRate: when(trainingBlocks) }),
    // Where training never becomes finite.
    gptq: gptqOptions,
  },
  presets: {
    default: {},
    // Its 4,096 sequences of 2,048 tokens are --samples and --context. With 131 k tokens these rates are far too small:
    // 5,095 on SmolLM2-135M. End to end, scales are relative here (s0 exp(a)), and so is the gradient that is clipped.
    paper: {
      range: { search: false },
      blockAp: {
        weightedRange: false,
        unit: "absolute",
        weightRate: 2e-5,
        scaleRate: 1e-4,
        zeroPointRate: 1e-4,
        normRate: 2e-5,
        epochs: 2,
        loss: "plain",
      },
      endToEnd: { loss: "next-token", epochs: 1, warmup: 0.03, clip: 0.3 },
    },
  },
  efforts: {
    quick: { blockAp: { epochs: 2 }, finish: "none" },
    best: { blockAp: { epochs: 8 }, endToEnd: { epochs: 8 } },
  },
  training: when(trainingBlocks),
  needsText: true,
  followedByEndToEnd: true,
  rotatesByDefault: false,

  windows: singleBlocks,
  chain: () => ({ input: "quantized", targets: ["full"] }),
  error: (target, actual, { blockAp }) => squaredError(target, actual, blockAp.loss),
  cost: ({ blockAp }, hiddenSize = 0) => ({
    trains: true,
    batch: blockAp.batch,
    moments: blockAp.weightedRange ? "block" : "none",
    passes: 3 * blockAp.epochs + 4,
    parameters: (linear) =>
      (blockAp.train === "scales" ? 0 : linear.rows * linear.columns) + gridParameterCount(linear),
    normParameters: blockAp.norms ? 2 * hiddenSize : 0,
  }),

  prepare(block, stream, work) {
    const { job } = work;
    const { blockAp, range, activation } = job.options;
    if (stream === null) throw new TypeError("efficient-qat needs calibration text");
    block.castWeights(job.dtype);
    calibrateStaticInputs(job, block, stream, activation.learnClip ? learntStep : fixedStep);
    using moments = blockAp.weightedRange ? collectUnitMoments(block, stream, work) : null;
    for (const [role, layer] of block.layers) {
      job.poll();
      noGrad(() =>
        scope(() => {
          const weight = block.exactWeight(role).to("float32");
          const candidates = candidatesOf(range);
          const grid = chooseEach(weight, moments?.of(role) ?? null, (own, sums) =>
            searchRange(own, layer.scheme, layer.name, {
              candidates,
              ...(sums !== null && { importance: sums.columnWeights() }),
            }),
          );
          const paths: Readonly<Record<typeof blockAp.train, () => WeightPath>> = {
            weights: () => new TrainedWeight(weight, grid, blockAp.unit),
            rounding: () => new CodeUnitRounding(weight, grid),
            scales: () => new TrainedWeight(weight, grid, blockAp.unit, "scales"),
          };
          layer.learn(paths[blockAp.train]());
        }),
      );
    }
    if (blockAp.norms) block.trainNorms();
  },

  // min over W, s, z of |F(W^, X_q) - F(W, X)|^2: equation 3.
  solve(work) {
    const { blockAp, schedule, rates } = work.job.options;
    return gradient(work, {
      epochs: blockAp.epochs,
      batch: blockAp.batch,
      loss: overTargets((target, actual) => squaredError(target, actual, blockAp.loss)),
      rates: {
        weight: blockAp.weightRate,
        rounding: blockAp.weightRate,
        scale: blockAp.scaleRate,
        zeroPoint: blockAp.zeroPointRate,
        norm: blockAp.normRate,
        input: rates.activation,
      },
      finalRate: schedule.finalRate,
    });
  },
});
