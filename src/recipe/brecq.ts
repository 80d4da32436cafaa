import { portOf } from "../calibration/port-store.js";
import { channelError } from "../reconstruct/objective/fisher/channel-error.js";
import type { ReconstructionLoss } from "../reconstruct/reconstruction-options.js";
import { windowSchedule } from "../reconstruct/schedule.js";
import { bitBudget } from "./graph/bit-budget.js";
import { endOverrides } from "./graph/end-overrides.js";
import { fisherWeights } from "./graph/fisher-weights.js";
import { geneticAllocation } from "./graph/genetic-allocation.js";
import { learnInputSteps } from "./graph/input-steps.js";
import { singleLayers } from "./graph/single-layers.js";
import { isEasy, startRoundings } from "./graph/starting-roundings.js";
import { gridQuantizer } from "./measure/tensor-grids.js";
import { type Brecq, brecqOptions, trainingRoundings } from "./options/own/brecq.js";
import { when } from "./options/reading.js";
import { activationOptions } from "./options/shared/activation.js";
import { gptqOptions } from "./options/shared/gptq.js";
import { defineRecipe, gridParameterCount } from "./recipe.js";
import { gradient } from "./solve/gradient-solver.js";

/**
 * BRECQ: the roundings of all weights of a block are learnt together, so that the block's output stays what it is, and where the
 * network's own output feels an error most, it counts most. Then the steps of quantized inputs are learnt.
 * Source: arXiv 2102.05426, and the authors' released code where the paper is silent; the preset `paper` is theirs.
 */
export const brecq = defineRecipe({
  name: "brecq",
  title: "BRECQ: roundings learnt block by block, for CNNs and other ONNX graphs",
  paper: "arXiv 2102.05426",
  about: {
    trains: "roundings of the weights of a block, and the steps of its inputs",
    use: "CNNs and other ONNX graphs at 2 to 4 bits",
    cost: "some 200 passes over a few hundred images",
  },
  options: { brecq: brecqOptions, activation: activationOptions, gptq: gptqOptions },
  presets: {
    default: {},
    // 20,000 steps of 32 of 1,024 images at 1e-3; 5,000 for the steps of inputs at 4e-4. The released default is `l2`.
    paper: {
      range: { candidates: 80 },
      brecq: {
        ...{ window: 1, overlap: 0, rounding: "adaround", loss: "fisher", epochs: 625, rate: 1e-3, rangePower: 2.4 },
        inputs: { order: "after", epochs: 157, rate: 4e-4, unit: "absolute", power: 2.4 },
      },
    },
  },
  efforts: { quick: { brecq: { epochs: 20 } }, best: { brecq: { epochs: 200 } } },
  training: when(trainingRoundings),
  needsText: true,
  followedByEndToEnd: false,
  rotatesByDefault: false,

  // Section 3.2: a block is what is reconstructed; single layers are AdaRound.
  network: (network, { brecq: { unit } }) => (unit === "block" ? network : singleLayers(network)),
  windows: (units, { brecq: { window, overlap } }) => windowSchedule(units, window, overlap),

  // Section 4: the first and the last layer have 8 bits.
  overrides: (units, { brecq: { ends } }, scheme) => endOverrides(units, ends, scheme),

  // Section 3.4, mixed precision: errors of layers at few bits meet in a block.
  checkBits: (items, budget, { brecq: own }) => void bitBudget(items, budget, own),
  shareBits: (job, items, budget) => geneticAllocation(job, items, bitBudget(items, budget, job.options.brecq)),

  // Algorithm 1: the block sees what the quantized network makes before it, and is held against the full-precision one. The
  // released code leaves the model in training mode once it has cached these; norms that stay in a graph have no such mode.
  chain: ({ brecq: { inputs } }) => ({ input: "quantized", targets: ["full"], fullInput: inputs.order === "after" }),
  error: (target, actual) => channelError(target, actual),

  cost: ({ brecq: { batch, epochs, inputs, loss } }) => ({
    trains: true,
    batch,
    moments: "none",
    stores: 1,
    passes: 3 * (epochs + (inputs.order === "after" ? inputs.epochs : 0)) + 6,
    // Expected logits, and the gradient of those of the window.
    ...(loss === "fisher" && epochs > 0 && { ahead: 4 }),
    // What is rounded to nearest learns nothing.
    parameters: (linear) => (isEasy(linear) ? 0 : linear.rows * linear.columns + gridParameterCount(linear)),
    normParameters: 0,
  }),

  prepare(block, stream, { job }) {
    if (stream === null) throw new TypeError("brecq needs calibration examples");
    // Section 2.2: AdaRound, of all layers of the block.
    startRoundings(job, block, stream);
  },

  *solve(work) {
    const { job, blocks, fullInput } = work;
    const { brecq: options, activation } = job.options;
    const { inputs, penalty, scaleRate, rounding } = options;
    const rate = rateOf(options, work.input?.shape.sequences ?? 0);
    const fisher = options.loss === "fisher" && options.epochs > 0 ? fisherWeights(work, options.fisher) : null;
    try {
      const learnt = yield* gradient(
        { ...work, targets: fisher === null ? work.targets : [...work.targets, fisher] },
        {
          epochs: options.epochs,
          batch: options.batch,
          loss: outputError,
          // lambda sum(1 - |2 h - 1|^beta) over all weights of the window; the engine takes a mean over its Linears.
          penalty: { ...penalty, weight: penalty.weight * blocks.flatMap((block) => block.trained).length },
          rates: {
            rounding: rate,
            ...(rounding === "code" && { scale: scaleRate, zeroPoint: rate }),
            input: inputs.rate,
          },
          finalRate: rounding === "code" ? 0.05 : 1,
        },
      );
      if (!learnt) return false;
    } finally {
      fisher?.dispose();
    }
    if (fullInput === null || job.network.staticInputs !== true) return true;
    // Section 4 and the released code: steps of inputs follow once the weights are done, on the full-precision stream.
    const leaving = blocks.slice(0, work.leaving);
    for (const layer of leaving.flatMap((block) => block.trained)) layer.harden();
    yield* learnInputSteps(work, leaving, fullInput, {
      ...inputs,
      batch: options.batch,
      quantizer: gridQuantizer(inputs.unit, activation.learnClip),
    });
    // What the weights of the next block see is quantized in its weights alone.
    for (const block of leaving) for (const layer of block.layers.values()) layer.appliesInput = false;
    return true;
  },
});

// (10) min E[dz^T diag((dL/dz_1)^2, ..., (dL/dz_a)^2) dz], or the plain squared error, which the released code takes.
const outputError: ReconstructionLoss = (actual, [target = {}, weights]) =>
  Object.entries(actual)
    .map(([name, port]) => {
      const weight = weights === undefined ? null : portOf(weights, name);
      return channelError(portOf(target, name), port, 2, weight);
    })
    .reduce((total, each) => total.add(each));

// What moves by the rate in every step has to come as far in few steps as in many.
function rateOf({ rate, rounding, epochs, batch }: Brecq, examples: number): number {
  if (rate !== null) return rate;
  const steps = epochs * Math.ceil(examples / batch);
  return rounding === "code" ? 5e-3 : Math.min(0.1, Math.max(1e-3, 15 / Math.max(1, steps)));
}
