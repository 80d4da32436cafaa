import type { PortStore } from "../../calibration/port-store.js";
import { roundToNearest } from "../../quant/grid/grid.js";
import { searchRange } from "../../quant/grid/range.js";
import { fixedStep } from "../../quant/input/activation.js";
import { CodeUnitRounding } from "../../quant/weight-path/code-unit-rounding.js";
import { adaRound } from "../../quant/weight-path/soft-rounding.js";
import type { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import { noGrad, scope } from "../../tensor/index.js";
import type { RecipeJob } from "../job/recipe-job.js";
import { calibrateStaticInputs } from "../measure/static-ranges.js";
import { calibrateTensorGrids, gridQuantizer } from "../measure/tensor-grids.js";
import type { EngineOptions } from "../options/engine-options.js";
import type { Brecq } from "../options/own/brecq.js";

/** What it reads of a recipe's options. */
type Options = EngineOptions & { readonly brecq: Brecq; readonly activation: { readonly learnClip: boolean } };

/**
 * Gives the layers of a block the roundings that BRECQ trains, each from the weight itself, on the range that loses least of it;
 * and, where inputs are learnt together with them, the grids of its inputs.
 *
 * @param stream at the block's input
 */
export function startRoundings(job: RecipeJob<Options>, block: QuantizedUnit, stream: PortStore): void {
  const { brecq, activation, range } = job.options;
  block.castWeights(job.dtype);
  if (job.network.staticInputs !== true) calibrateStaticInputs(job, block, stream, fixedStep);
  else if (brecq.inputs.order === "together") {
    const { unit, power } = brecq.inputs;
    calibrateTensorGrids(job, block, stream, gridQuantizer(unit, activation.learnClip), power);
  }
  const first = new Set(block.plan.layers.flatMap(({ name, readsInput }) => (readsInput === true ? [name] : [])));
  for (const [role, layer] of block.layers) {
    job.poll();
    noGrad(() =>
      scope(() => {
        const weight = block.exactWeight(role).to("float32");
        const { scheme, name } = layer;
        // A range from the smallest to the largest weight may leave out zero, in rows of one sign: ours always holds it.
        const grid = searchRange(weight, scheme, name, {
          ...(range.search && { candidates: range.candidates, smallest: 0.2, power: brecq.rangePower }),
          ...(!range.search && { candidates: 1 }),
        });
        if (isEasy({ bits: scheme.bits, readsInput: first.has(role) })) layer.harden(roundToNearest(weight, grid));
        // AdaRound (arXiv 2004.10568): w^ = s clip(floor(w / s) + h(V)), which begins at the weight itself.
        else if (brecq.rounding === "adaround") layer.learn(adaRound(weight, grid, "sum"));
        else layer.learn(new CodeUnitRounding(weight, grid));
      }),
    );
  }
}

/**
 * Whether a layer is rounded to nearest at once: nothing comes before the first one that it could make up for, and 8 bits lose next
 * to nothing.
 */
export function isEasy({ bits, readsInput }: { readonly bits?: number; readonly readsInput?: boolean }): boolean {
  return readsInput === true && bits === 8;
}
