import type { PortStore } from "../calibration/port-store.js";
import { firstConsumer } from "../network/index.js";
import { OutputDivergence } from "../quant/allocate/output-divergence.js";
import { fewPairs, type GroupBits, pairedPointer } from "../quant/allocate/paired-pointer.js";
import { grouped } from "../quant/grid/grid.js";
import { binaryRange, salienceRange } from "../quant/grid/group-grid.js";
import { groupColumns } from "../quant/scheme.js";
import type { SecondMoments } from "../quant/second-moments.js";
import { columnFactor, type GptqResult, gptqRows } from "../quant/solver/gptq.js";
import { inverseFactor } from "../quant/solver/inverse-factor.js";
import { noGrad, scope, type Tensor } from "../tensor/index.js";
import { gptq as gptqRecipe } from "./gptq.js";
import type { RecipeJob } from "./job/recipe-job.js";
import { sampledInputs } from "./measure/sampled-inputs.js";
import { part } from "./options/fragment.js";
import { always, when } from "./options/reading.js";
import { gptqOptions } from "./options/shared/gptq.js";
import { candidatesOf } from "./options/shared/range.js";
import { byWeights, slimOptions } from "./options/slim.js";
import { defineRecipe, type OptionsOf } from "./recipe.js";
import type { LayerRule } from "./solve/layer-rule.js";
import { quantizeSite } from "./solve/quantize-site.js";

// A group is the solver's block.
const solver = part(gptqOptions, { damping: always, widths: always, weightedRange: when(byWeights) });
const options = { gptq: solver, slim: slimOptions };

/**
 * SliM-LLM: groups of columns get a bit more or less than the scheme says, by their salience, so that the mean stays exactly
 * that; then GPTQ with a group as its block, which also judges how many do. Groups of one bit have two values around their mean.
 * Source: Huang et al. (arXiv 2405.14917).
 */
export const slim = defineRecipe({
  ...gptqRecipe,
  name: "slim",
  title: "SliM-LLM: bits per group of columns, by salience, at the scheme's mean",
  paper: "arXiv 2405.14917",
  onlyText: "gives groups of columns bits of their own, which only crossblock computes",
  about: {
    trains: "nothing",
    use: "2 and 3 bits in results that only crossblock computes: bits differ within a Linear",
    cost: "one pass over the text, and several of GPTQ's times",
  },
  options,
  presets: { default: {}, paper: { slim: { judge: "rounded", ranges: "salience", lambda: 1 }, gptq: { widths: [1] } } },
  bitsPerGroup: true,
  // Groups of columns have one width for all rows of a stack, and each expert would want its own.
  withoutExperts: "gives groups of columns bits of their own, which stacks of experts can't have",
  // Both passes of GPTQ, and the inputs that bits are judged on.
  cost: () => ({ trains: false, moments: "site", passes: 4, parameters: () => 0, normParameters: 0 }),
  *solve({ job, parts, warnings, blocks, input }) {
    for (const block of blocks) {
      for (const site of block.plan.sites) {
        job.poll();
        const stage = `block ${block.index}: ${site.consumers.join(", ")}`;
        yield { event: "progress", stage, done: block.index, total: job.network.units.length };
        // Only the paper's judge looks at them.
        const isSeen = job.options.slim.judge === "rounded";
        using inputs = isSeen ? sampledInputs(block, firstConsumer(site), input as PortStore) : null;
        yield* quantizeSite(job, block, site, input, parts, slimRule(job, inputs?.rows ?? null));
        yield* warnings.splice(0);
      }
    }
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
          // Section 3.2, salience-determined bit allocation (SBA): a group's salience is the sum over its weights.
          const ofGroups = [...grouped(perWeight, size).sum(2).sum(0).toFloat32Array()];
          const columns = columnFactor(moments as SecondMoments, asked);
          const solve = (groupBits: GroupBits): GptqResult =>
            gptqRows(weight, columns, scheme, name, {
              ...asked,
              candidates: candidatesOf(range),
              blockSize: size,
              groupBits,
              rangeOf: (group, width, at) => {
                if (width === 1) return binaryRange(grouped(group, size));
                if (chosen.ranges === "weighted") return null;
                // Section 3.3, salience-weighted quantizer calibration (SQC).
                const salient = outliers(grouped(perWeight, size).narrow(1, at, 1));
                return salienceRange(grouped(group, size), width, salient, chosen.lambda);
              },
            });
          // Neither bits of none nor of nine are stored.
          if (scheme.bits === 8) return solve(ofGroups.map(() => 8)).codes;
          if (inputs === null) {
            // Rounded to nearest, groups of two bits lose so much that more of them are split than GPTQ can bear.
            const lost = (bits: GroupBits): number => scope(() => solve(bits).loss.sum().item());
            return solve(pairedPointer(ofGroups, scheme.bits, lost, fewPairs(ofGroups.length))).codes;
          }
          using divergence = new OutputDivergence(weight, inputs, scheme, size);
          return solve(pairedPointer(ofGroups, scheme.bits, (bits) => divergence.of(bits))).codes;
        }),
      ),
  };
}

// Equation 3: delta_ij = w_ij^2 / [H^-1]_jj^2, or the released code's w_ij^2 / U_jj^2, where H^-1 = U^T U: its diagonal falls
// from the first column to the last, as GPTQ sees the columns.
function salience(weight: Tensor, moments: SecondMoments, damping: number, by: "inverse" | "factor"): Tensor {
  const { factor } = inverseFactor(moments.matrix.div(Math.max(1, moments.tokens)), damping);
  const diagonal = by === "inverse" ? factor.square().sum(0) : factor.diagonal();
  return weight.div(diagonal.reshape([1, diagonal.size(0)])).square();
}

// Weights whose salience is more than two standard deviations from the group's mean; none where it has no outlier.
function outliers(perWeight: Tensor): Tensor {
  const centred = perWeight.sub(perWeight.mean(2, true));
  const deviation = centred.square().mean(2, true).sqrt().clamp(1e-30);
  return centred.abs().gt(deviation.mul(2)).to("float32");
}
