import { OptionError } from "../errors.js";
import { reconstructionError } from "../reconstruct/objective/objective.js";
import { overTargets } from "../reconstruct/reconstruct.js";
import { windowSchedule } from "../reconstruct/schedule.js";
import { manualSeed } from "../tensor/index.js";
import { foldsActivations } from "./job/folds-activations.js";
import { calibrateStaticInputs } from "./measure/static-ranges.js";
import { collectUnitMoments } from "./measure/unit-moments.js";
import { withTraining } from "./options/conditions.js";
import { when } from "./options/reading.js";
import { activationOptions } from "./options/shared/activation.js";
import { cfpOptions } from "./options/shared/cfp.js";
import { gptqOptions } from "./options/shared/gptq.js";
import { ratesOptions, scheduleOptions } from "./options/shared/rates.js";
import { roundingOptions } from "./options/shared/rounding.js";
import { windowOptions } from "./options/shared/window.js";
import { defineRecipe, gridParameterCount } from "./recipe.js";
import { foldUnit } from "./solve/fold-unit.js";
import { gradient } from "./solve/gradient-solver.js";
import { prepareRoundings } from "./solve/prepare-roundings.js";

/**
 * CBQ: windows of blocks that overlap are reconstructed together on two streams of calibration activations, outliers are
 * dealt with first, roundings are learnt. Which rounding, which loss and which schedule are options; the paper's are the
 * preset `paper`. By default the rounding is in code units and starts from GPTQ's codes, where the paper has
 * LoRA-Rounding, and the scales of all blocks are trained end to end after it.
 * Source: arXiv 2312.07950.
 */
export const cbq = defineRecipe({
  name: "cbq",
  title: "CBQ: windows of several blocks, reconstructed together",
  paper: "arXiv 2312.07950",
  options: {
    window: windowOptions,
    rounding: roundingOptions,
    rates: ratesOptions,
    schedule: scheduleOptions,
    gptq: gptqOptions,
    cfp: cfpOptions,
    activation: activationOptions,
  },
  presets: {
    default: {},
    paper: {
      window: {
        size: 2,
        overlap: 1,
        epochs: 3,
        batch: 1,
        secondBranch: true,
        loss: { l2: "plain", l2Weight: 1, klWeight: 1 },
      },
      rounding: { kind: "lora", rank: 5 },
      rotation: "none",
      cfp: { weights: true, activations: true },
      finish: "none",
    },
  },
  training: when(withTraining),
  needsText: true,
  followedByEndToEnd: true,
  rotatesByDefault: true,

  // Section 3.2, cross-block dependency (CBD): windows of several blocks that overlap.
  windows: (blocks, { window }) => windowSchedule(blocks, window.size, window.overlap),

  // Section 3.2, the homologous scheme: the quantized window sees the quantized stream x_q in both branches, and is held
  // against the full-precision window on x_f, and on x_q.
  targets: ({ window }) => (window.secondBranch ? ["full", "fullOfQuantized"] : ["full"]),

  // E(y, y') = c2 |y - y'|^2 + ck KL(softmax(y) || softmax(y')).
  error: (target, actual, { window }) => reconstructionError(target, actual, window.loss),

  cost: ({ window, rounding }) => ({
    trains: true,
    moments: rounding.start === "gptq" ? "block" : "none",
    passes: 3 * window.epochs + 4,
    parameters: (linear) => {
      const { rows, columns } = linear;
      const offset = rounding.kind === "lora" ? rounding.rank * (rows + columns) : rows * columns;
      return offset + gridParameterCount(linear);
    },
    normParameters: 0,
  }),

  check({ rounding }) {
    if (rounding.start !== "gptq" || rounding.kind === "code") return;
    throw new OptionError({
      where: "rounding.start",
      what: `"gptq" does not go with the rounding "${rounding.kind}", which starts at the weight itself`,
      next: "use --set rounding.kind=code or --set rounding.start=rtn",
    });
  },

  prepare(block, stream, work) {
    const { job, parts } = work;
    const { rounding, activation } = job.options;
    if (stream === null) throw new TypeError("cbq needs calibration text");
    // Section 3.1, coarse-to-fine pre-processing (CFP).
    if (foldsActivations(job.options, job.scheme)) foldUnit(job, block, stream, parts);
    block.castWeights(job.dtype);
    calibrateStaticInputs(job, block, stream, activation.learnClip);
    using moments = rounding.start === "gptq" ? collectUnitMoments(block, stream, work) : null;
    // Per block, so that random starts do not depend on the blocks that this process saw before.
    manualSeed((job.seed + block.index) % Number.MAX_SAFE_INTEGER);
    // Section 3.3, LoRA-Rounding, or one of the others.
    prepareRoundings(job, block, (role) => moments?.of(role) ?? null);
  },

  // L = L_rec + gamma L_com, with L_rec = sum of E over the branches: section 3.3.
  solve(work) {
    const { window, rates, schedule, rounding } = work.job.options;
    return gradient(work, {
      epochs: window.epochs,
      batch: window.batch,
      loss: overTargets((target, actual) => reconstructionError(target, actual, window.loss)),
      penalty: rounding.regulariser,
      rates: { rounding: rates.rounding, scale: rates.scale, zeroPoint: rates.zeroPoint, input: rates.activation },
      finalRate: schedule.finalRate,
    });
  },
});
