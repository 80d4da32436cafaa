import type { Codes } from "../quant/grid/grid.js";
import { searchRange } from "../quant/grid/range.js";
import { fixedStep, learntStep } from "../quant/input/activation.js";
import { CodeUnitRounding } from "../quant/weight-path/code-unit-rounding.js";
import { adaRound, loraRounding } from "../quant/weight-path/soft-rounding.js";
import type { WeightPath } from "../quant/weight-path/weight-path.js";
import { reconstructionError } from "../reconstruct/objective/objective.js";
import type { QuantizedLayer } from "../reconstruct/quantized-layer.js";
import { overTargets } from "../reconstruct/reconstruct.js";
import { windowSchedule } from "../reconstruct/schedule.js";
import { manualSeed, noGrad, scope, type Tensor } from "../tensor/index.js";
import { foldOutliers } from "../transform/cfp/fold-outliers.js";
import { truncateWeights } from "../transform/cfp/truncate-weights.js";
import { foldsActivations } from "./job/folds-activations.js";
import type { RecipeJob } from "./job/recipe-job.js";
import { calibrateStaticInputs } from "./measure/static-ranges.js";
import { attentionOf } from "./measure/unit-attention.js";
import { collectUnitMoments } from "./measure/unit-moments.js";
import { withTraining } from "./options/conditions.js";
import { cbqCost, cbqEfforts, cbqOptions, cbqPresets, checkCbq } from "./options/own/cbq.js";
import { when } from "./options/reading.js";
import { candidatesOf } from "./options/shared/range.js";
import { defineRecipe, type OptionsOf } from "./recipe.js";
import { chooseEach } from "./solve/each-expert.js";
import { foldUnit } from "./solve/fold-unit.js";
import { gradient } from "./solve/gradient-solver.js";
import { attentionFactorsOf, rowColumnRule } from "./solve/row-column-rule.js";
import { foldAffine } from "./transform/fold-affine.js";

/**
 * CBQ: windows of blocks that overlap are reconstructed together on two streams of calibration activations, outliers are
 * dealt with first, roundings are learnt. Which rounding, which loss and which schedule are options; the paper's are the
 * preset `paper`. By default the rounding is in code units and starts from GPTQ's codes, where the paper has
 * LoRA-Rounding, and the scales of all blocks are trained end to end after it.
 * Source: arXiv 2312.07950; the equations are numbered as in `docs/guide/recipes.md`.
 */
export const cbq = defineRecipe({
  name: "cbq",
  title: "CBQ: windows of several blocks, reconstructed together",
  paper: "arXiv 2312.07950",
  about: {
    trains: "roundings, scales and clips in windows of blocks, then all scales",
    use: "the best quality, above all at 2 and 3 bits and with 4-bit inputs",
    cost: "some 80 passes over the text",
  },
  options: cbqOptions,
  presets: cbqPresets,
  efforts: cbqEfforts,
  training: when(withTraining),
  needsText: true,
  followedByEndToEnd: true,
  rotatesByDefault: true,

  // (1), section 3.2, cross-block dependency (CBD): windows of several blocks that overlap.
  windows: (blocks, { window }) => windowSchedule(blocks, window.size, window.overlap),

  // (2), section 3.2, the homologous scheme: the quantized window sees the quantized stream x_q in both branches, and is held
  // against the full-precision window on x_f, and on x_q.
  chain: ({ window }) => ({
    input: "quantized",
    targets: window.secondBranch ? ["full", "fullOfQuantized"] : ["full"],
  }),

  // (3) E(y, y') = c2 |y - y'|^2 + ck KL(softmax(y) || softmax(y')).
  error: (target, actual, { window }) => reconstructionError(target, actual, window.loss),

  cost: cbqCost,
  check: checkCbq,

  prepare(block, stream, work) {
    const { job, parts } = work;
    const { rounding, activation, cfp } = job.options;
    if (stream === null) throw new TypeError("cbq needs calibration text");
    // Section 3.1, coarse-to-fine pre-processing (CFP).
    if (job.options.transform === "affine") foldAffine(block, stream, work);
    else if (foldsActivations(job.options, job.scheme)) {
      foldUnit(job, block, stream, parts, (weights, extremes, storedType) =>
        foldOutliers(weights, extremes, { ...cfp, storedType }),
      );
    }
    block.castWeights(job.dtype);
    // Section 3.3: the step S_X of an input is trained too.
    calibrateStaticInputs(job, block, stream, activation.learnClip ? learntStep : fixedStep);
    using attention = rounding.start === "boa" ? attentionOf(block, work, job.options.boa) : null;
    using moments = rounding.start === "rtn" ? null : collectUnitMoments(block, stream, work, attention);
    const start = rowColumnRule(job.options, attentionFactorsOf(block, attention));
    // Per block, so that random starts do not depend on the blocks that this process saw before.
    manualSeed((job.seed + block.index) % Number.MAX_SAFE_INTEGER);
    for (const [role, layer] of block.layers) {
      job.poll();
      noGrad(() =>
        scope(() => {
          const exact = block.exactWeight(role);
          const weight = exact.to("float32");
          const base = cfp.weights ? truncateWeights(weight, cfp).weight : weight;
          // The CPU's kernels take fp32; on a device a weight that fits the products' dtype is kept in it.
          const stored = base === weight && base.device !== "cpu" ? exact : base;
          const known = moments?.of(role) ?? null;
          const codes = known === null ? null : chooseEach(base, known, (own, sums) => start.choose(own, layer, sums));
          layer.learn(roundingOf(job, layer, { weight: base, stored }, codes));
        }),
      );
    }
  },

  // (6) L = L_rec + gamma L_com.
  solve(work) {
    const { window, rates, schedule, rounding } = work.job.options;
    // (2) L_rec = E(F(x_f), Q(x_q)) + E(F(x_q), Q(x_q)), where `targets` are what the full-precision window F makes
    // of both streams, and `actual` what the quantized window Q makes of its own.
    const reconstruction = overTargets((target, actual) => reconstructionError(target, actual, window.loss));
    // (5) gamma and the exponent beta of L_com = mean(1 - |2 h - 1|^beta), section 3.3, which drives every h to 0 or 1.
    const penalty = rounding.regulariser;
    return gradient(work, {
      epochs: window.epochs,
      batch: window.batch,
      loss: reconstruction,
      penalty,
      rates: { rounding: rates.rounding, scale: rates.scale, zeroPoint: rates.zeroPoint, input: rates.activation },
      finalRate: schedule.finalRate,
    });
  },
});

type Job = RecipeJob<OptionsOf<typeof cbqOptions>>;

// (4), section 3.3: w^ = s (clip(B + h(V0 + A1 A2) + z) - z), LoRA-Rounding, or another form of w^. What has no codes to start from
// starts at the weight itself.
function roundingOf(
  job: Job,
  layer: QuantizedLayer,
  { weight, stored }: { readonly weight: Tensor; readonly stored: Tensor },
  codes: Codes | null,
): WeightPath {
  if (codes !== null) return new CodeUnitRounding(stored, codes, { start: codes.codes });
  const { range, rounding } = job.options;
  const candidates = candidatesOf(range);
  const grid = searchRange(weight, layer.scheme, layer.name, { candidates });
  switch (rounding.kind) {
    case "code":
      return new CodeUnitRounding(stored, grid);
    case "lora":
      return loraRounding(stored, grid, rounding.rank);
    case "adaround":
      return adaRound(weight, grid);
  }
}
