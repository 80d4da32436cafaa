import { OptionError } from "../errors.js";
import { searchRange } from "../quant/grid/range.js";
import { adaRound } from "../quant/weight-path/soft-rounding.js";
import { lostShare, squaredError } from "../reconstruct/objective/squared-error.js";
import { measureWindow, overTargets } from "../reconstruct/reconstruct.js";
import { singleBlocks } from "../reconstruct/schedule.js";
import { noGrad, scope } from "../tensor/index.js";
import { correctBiases } from "./graph/correct-biases.js";
import { calibrateByStep } from "./measure/input-ranges-by-step.js";
import { tfmqOptions } from "./options/own/tfmq.js";
import { always } from "./options/reading.js";
import { gptqOptions } from "./options/shared/gptq.js";
import { candidatesOf } from "./options/shared/range.js";
import { defineRecipe, gridParameterCount, type OptionsOf, type WindowWork } from "./recipe.js";
import { gradient } from "./solve/gradient-solver.js";

type Options = OptionsOf<{ tfmq: typeof tfmqOptions }>;

/** Examples that tell what rounding to nearest loses. */
const JUDGED = 64;

/**
 * TFMQ-DM, for networks of diffusion models. What such a network knows of the time step goes through a few small layers (the
 * temporal block: an embedding h(t), and a projection g_i of it for each residual block), and errors there make it denoise for
 * another step than it is at. So these layers are reconstructed together, apart from the blocks that read them; and quantized
 * inputs have a range for each time step. All other blocks are reconstructed as in BRECQ, each on its own: AdaRound, the
 * quantized block on the quantized stream against the full-precision one.
 *
 * Differences to the paper: behind its training a block's biases give its layers the means that they have in full precision
 * (`biases`). To the released code: inputs are quantized while roundings are learnt, where it quantizes them afterwards; a
 * range behind the joint of a long path is one for both of its halves; and the first and last layers, those that shrink, and
 * shortcuts stay in full precision, as there, so they count at 32 bits in every size.
 * It is made for U-Nets: the published W4A8 of a diffusion transformer loses its images (FID 142 for 5).
 * Source: Huang et al., "TFMQ-DM: Temporal Feature Maintenance Quantization for Diffusion Models" (arXiv 2311.16503).
 */
export const tfmq = defineRecipe({
  name: "tfmq",
  title: "TFMQ-DM: diffusion models, whose time steps keep their embeddings and have ranges of their own",
  paper: "arXiv 2311.16503",
  about: {
    trains: "how weights are rounded, block by block; the time embedding as a block of its own",
    use: "U-Nets of diffusion models (ONNX) at 4 and 8 bits",
    cost: "one run of the sampler, and some 40 passes over what it saw",
  },
  options: { tfmq: tfmqOptions, gptq: gptqOptions },
  presets: {
    default: {},
    // Of 5,120 examples 125 passes are its 20,000 steps.
    paper: { tfmq: { epochs: 125, temporalSteps: 20_000, batch: 32, rate: 1e-3, biases: false } },
  },
  efforts: { quick: { tfmq: { epochs: 6 } }, best: { tfmq: { epochs: 60 } } },
  training: always,
  needsText: true,
  needsTimeSteps: true,
  followedByEndToEnd: false,
  rotatesByDefault: false,

  // Section 4.2, temporal information block: apart, or with the blocks that read it.
  network: (network, { tfmq: { tiar } }) => (tiar ? network : (network.withReaders?.() ?? network)),
  windows: singleBlocks,
  chain: ({ tfmq: { biases } }) => ({ input: "quantized", targets: ["full"], fullInput: biases }),
  error: (target, actual) => lostShare(target, actual),
  cost: ({ tfmq: { epochs, batch, biases } }) => ({
    trains: true,
    batch,
    moments: "none",
    passes: 3 * epochs + 4 + (biases ? 4 : 0),
    parameters: (linear) => linear.rows * linear.columns + gridParameterCount(linear),
    normParameters: 0,
  }),

  check({ finish }) {
    if (finish === "scales") {
      throw new OptionError({
        where: "option finish",
        what: "scales does not go with recipe tfmq",
        why: "no training of the whole network follows ranges that depend on the time step",
        next: "leave it out, or give --finish none",
      });
    }
  },

  prepare(block, stream, { job }) {
    if (stream === null) throw new TypeError("tfmq needs the inputs of a sampler");
    block.castWeights(job.dtype);
    // Section 4.3, finite set calibration (FSC).
    calibrateByStep(job, block, stream, job.options.tfmq);
    const candidates = candidatesOf(job.options.range);
    for (const [name, layer] of block.layers) {
      job.poll();
      noGrad(() =>
        scope(() => {
          const weight = block.exactWeight(name).to("float32");
          layer.learn(adaRound(weight, searchRange(weight, layer.scheme, layer.name, { candidates })));
        }),
      );
    }
  },

  // Section 4.2, temporal information aware reconstruction (TIAR): the temporal block is a window whose outputs are all
  // projections, L = sum over i of |g_i(h(t)) - g^_i(h^(t))|^2; of other blocks there is one output, and it is BRECQ's loss.
  *solve(work) {
    const { batch, rate, penalty, warmup, biases } = work.job.options.tfmq;
    const nearest = lossOfNearest(work);
    const loss = overTargets(squaredError);
    const learnt = yield* gradient(work, {
      epochs: epochsOf(work),
      batch,
      // In shares of what rounding to nearest loses, so that the penalty weighs the same in every block and at every width.
      loss: (actual, targets) => loss(actual, targets).div(nearest),
      penalty: { weight: penalty, warmup, betaStart: 20, betaEnd: 2 },
      // Only roundings: what else a weight's path could train has no rate.
      rates: { rounding: rate },
      finalRate: 1,
    });
    if (learnt && biases) for (const block of work.blocks) correctBiases(work, block);
    return learnt;
  },
});

// The time embedding is seen at few time steps, over and over again.
function epochsOf({ job, blocks, input }: WindowWork<Options>): number {
  const { epochs, temporalSteps, batch } = job.options.tfmq;
  if (input === null || !blocks.every(({ plan }) => plan.ofConditions === true)) return epochs;
  return Math.max(epochs, Math.ceil(temporalSteps / Math.ceil(input.shape.sequences / batch)));
}

function lossOfNearest({ blocks, input, targets, parts }: WindowWork): number {
  if (input === null) throw new TypeError("tfmq needs the inputs of a sampler");
  for (const block of blocks) block.previewHard();
  const judged = Math.min(JUDGED, input.shape.sequences);
  const [loss = 0] = measureWindow(blocks, input, targets, squaredError, parts, judged);
  return Math.max(loss, 1e-30);
}
