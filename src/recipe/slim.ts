import type { PortStore } from "../calibration/port-store.js";
import { firstConsumer } from "../network/index.js";
import { OutputDivergence } from "../quant/allocate/output-divergence.js";
import { fewPairs, type GroupBits, pairedPointer } from "../quant/allocate/paired-pointer.js";
import { groupSalience, salience, salientWeights } from "../quant/allocate/salience.js";
import { solvedSplit } from "../quant/allocate/solved-split.js";
import { grouped } from "../quant/grid/grid.js";
import { binaryRange, salienceRange } from "../quant/grid/group-grid.js";
import { groupColumns } from "../quant/scheme.js";
import type { SecondMoments } from "../quant/second-moments.js";
import { columnFactor, type GptqResult, gptqRows } from "../quant/solver/gptq.js";
import { squaredError } from "../reconstruct/objective/objective.js";
import { overTargets } from "../reconstruct/reconstruct.js";
import { noGrad, scope, type Tensor } from "../tensor/index.js";
import { unsplitGroups } from "./allocation/unsplit-groups.js";
import { gptq as gptqRecipe } from "./gptq.js";
import type { RecipeJob } from "./job/recipe-job.js";
import { learnRanges } from "./learn/learn-ranges.js";
import { sampledInputs } from "./measure/sampled-inputs.js";
import { part } from "./options/fragment.js";
import { always, when } from "./options/reading.js";
import { gptqOptions } from "./options/shared/gptq.js";
import { candidatesOf } from "./options/shared/range.js";
import { scheduleOptions } from "./options/shared/rates.js";
import { byWeights, checkGroups, learningRanges, slimOptions } from "./options/slim.js";
import { defineRecipe, type OptionsOf } from "./recipe.js";
import { gradient } from "./solve/gradient-solver.js";
import type { LayerRule } from "./solve/layer-rule.js";
import { quantizeSite } from "./solve/quantize-site.js";

// A group is the solver's block.
const solver = part(gptqOptions, { damping: always, widths: always, weightedRange: when(byWeights) });
const options = {
  gptq: solver,
  slim: slimOptions,
  schedule: part(scheduleOptions, { finalRate: when(learningRanges) }),
};

/**
 * SliM-LLM: groups of columns get a bit more or less than the scheme says, by their salience, so that the mean stays exactly
 * that; then GPTQ with a group as its block, which also judges how many do. Groups of one bit have two values around their mean.
 * SliM-LLM+ (`slim.clipping=learnt`): the bits stay, and all groups' ranges are trained together on the squared error of the
 * block's output. There they are clips under which the weights are rounded to nearest, which takes back what GPTQ gained; by
 * default GPTQ's codes stay too, and the scales learn.
 * Source: Huang et al. (arXiv 2405.14917).
 */
export const slim = defineRecipe({
  ...gptqRecipe,
  name: "slim",
  title: "SliM-LLM: bits per group of columns, by salience, at the scheme's mean",
  paper: "arXiv 2405.14917",
  onlyText: "gives groups of columns bits of their own, which only crossblock computes",
  about: {
    trains: "nothing; the ranges of groups with slim.clipping=learnt (SliM-LLM+)",
    use: "2 and 3 bits in results that only crossblock computes: bits differ within a Linear",
    cost: "one pass over the text, and several of GPTQ's times; some 30 passes where ranges are trained",
  },
  options,
  presets: {
    default: {},
    paper: { slim: { judge: "rounded", ranges: "salience", lambda: 1 }, gptq: { widths: [1] } },
  },
  training: when(learningRanges),
  bitsPerGroup: true,
  // Groups of columns have one width for all rows of a stack, and each expert would want its own.
  withoutExperts: "gives groups of columns bits of their own, which stacks of experts can't have",
  // Learnt ranges are held against the full-precision block on its own stream, or on both (OmniQuant's augmented loss).
  chain: ({ slim: { clipping, secondBranch } }) => ({
    input: "quantized",
    targets: clipping === "searched" ? [] : secondBranch ? ["full", "fullOfQuantized"] : ["full"],
  }),
  error: (target, actual, given) => squaredError(target, actual, given.slim.loss),
  // Both passes of GPTQ, and the inputs that bits are judged on.
  cost: ({ slim: { clipping, codes, epochs, batch, judge } }) => ({
    ...(clipping === "searched" ? { trains: false, passes: 4 } : { trains: true, batch, passes: 3 * epochs + 4 }),
    ...{ moments: "site", solvesFirst: clipping === "learnt", normParameters: 0 },
    splits: (groups) => (judge === "solved" ? fewPairs(groups).length : 1),
    // A scale or two clips of each range.
    parameters: ({ groups }) => (clipping === "searched" ? 0 : (codes === "solved" ? 1 : 2) * groups),
  }),
  check: (_options, scheme) => checkGroups(scheme),
  *solve(work) {
    const { job, parts, warnings, blocks, input } = work;
    const { slim: chosen, schedule } = job.options;
    const learns = chosen.clipping === "learnt";
    for (const block of blocks) {
      const unsplit = block.index === 0 ? unsplitGroups(block) : null;
      if (unsplit !== null) yield unsplit;
      for (const site of block.plan.sites) {
        job.poll();
        const stage = `block ${block.index}: ${site.consumers.join(", ")}`;
        yield { event: "progress", stage, done: block.index, total: job.network.units.length };
        // Only the paper's judge looks at them.
        const isSeen = chosen.judge === "rounded";
        using inputs = isSeen ? sampledInputs(block, firstConsumer(site), input as PortStore) : null;
        yield* quantizeSite(job, block, site, input, parts, slimRule(job, inputs?.rows ?? null));
        yield* warnings.splice(0);
      }
      if (learns) learnRanges(block, chosen.codes);
    }
    if (!learns) return true;
    // min over the ranges of |F(X_f, W) - F(X_q, Q(W))|^2, F the block.
    const loss = overTargets((target, actual) => squaredError(target, actual, chosen.loss));
    const { epochs, batch, rate } = chosen;
    const rates = { clip: rate, scale: rate };
    const fallBack = "its ranges stay as they began";
    yield* gradient(work, { epochs, batch, loss, rates, finalRate: schedule.finalRate, fallBack });
    return true;
  },
});

function slimRule({ options: given }: RecipeJob<OptionsOf<typeof options>>, inputs: Tensor | null): LayerRule {
  const { slim: chosen, gptq: asked, range } = given;
  return {
    name: "SliM-LLM",
    needsMoments: true,
    choose: (weight, { scheme, name }, moments) =>
      noGrad(() =>
        scope(() => {
          const size = groupColumns(scheme, weight.size(1), name);
          const perWeight = salience(weight, moments as SecondMoments, asked.damping, chosen.salience);
          const ofGroups = groupSalience(perWeight, size);
          const columns = columnFactor(moments as SecondMoments, asked);
          const solve = (groupBits: GroupBits): GptqResult =>
            gptqRows(weight, columns, scheme, name, {
              ...asked,
              ...{ candidates: candidatesOf(range), blockSize: size, groupBits },
              rangeOf: (group, width, at) => {
                if (width === 1) return binaryRange(grouped(group, size));
                if (chosen.ranges === "weighted") return null;
                // Section 3.3, salience-weighted quantizer calibration (SQC).
                const salient = salientWeights(grouped(perWeight, size).narrow(1, at, 1));
                return salienceRange(grouped(group, size), width, salient, chosen.lambda);
              },
            });
          // Section 3.2, salience-determined bit allocation (SBA). Neither bits of none nor of nine are stored.
          if (scheme.bits === 8) return solve(ofGroups.map(() => 8)).codes;
          // Rounded to nearest, groups of two bits lose so much that more of them are split than GPTQ can bear.
          if (inputs === null) return solvedSplit(ofGroups, scheme.bits, solve).codes;
          using divergence = new OutputDivergence(weight, inputs, scheme, size);
          return solve(pairedPointer(ofGroups, scheme.bits, (bits) => divergence.of(bits))).codes;
        }),
      ),
  };
}
