import { searchRange } from "../../quant/grid/range.js";
import type { SecondMoments } from "../../quant/second-moments.js";
import { gptq } from "../../quant/solver/gptq.js";
import { adaRound } from "../../quant/weight-path/ada-round.js";
import { CodeUnitRounding } from "../../quant/weight-path/code-unit-rounding.js";
import { loraRounding } from "../../quant/weight-path/lora-rounding.js";
import type { WeightPath } from "../../quant/weight-path/weight-path.js";
import type { QuantizedLayer } from "../../reconstruct/quantized-layer.js";
import type { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import { noGrad, scope, type Tensor } from "../../tensor/index.js";
import { truncateWeights } from "../../transform/cfp/truncate-weights.js";
import type { RecipeJob } from "../job/recipe-job.js";
import type { cfpOptions } from "../options/shared/cfp.js";
import type { roundingOptions } from "../options/shared/rounding.js";
import type { OptionsOf } from "../recipe.js";

type Job = RecipeJob<OptionsOf<{ cfp: typeof cfpOptions; rounding: typeof roundingOptions }>>;

/**
 * Gives every layer of a block its starting grid and its rounding. `momentsOf` gives the second
 * moments of a Linear's inputs when training starts from GPTQ's codes.
 */
export function prepareRoundings(
  job: Job,
  block: QuantizedUnit,
  momentsOf: (layer: string) => SecondMoments | null,
): void {
  for (const [name, layer] of block.layers) {
    job.poll();
    noGrad(() =>
      scope(() => {
        const exact = block.exactWeight(name);
        const weight = exact.to("float32");
        const base = job.options.cfp.weights ? truncateWeights(weight, job.options.cfp).weight : weight;
        // The CPU's kernels take fp32; on a device a weight that fits the products' dtype is kept in it.
        const stored = base === weight && base.device !== "cpu" ? exact : base;
        layer.learn(weightPathOf(job, layer, { weight: base, stored }, momentsOf(name)));
      }),
    );
  }
}

function weightPathOf(
  job: Job,
  layer: QuantizedLayer,
  { weight, stored }: { readonly weight: Tensor; readonly stored: Tensor },
  moments: SecondMoments | null,
): WeightPath {
  const { range, rounding, gptq: options } = job.options;
  const candidates = range.search ? range.candidates : 1;
  if (moments !== null) {
    const { codes } = gptq(weight, moments, layer.scheme, layer.name, { ...options, candidates });
    return new CodeUnitRounding(stored, codes, { start: codes.codes });
  }
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
