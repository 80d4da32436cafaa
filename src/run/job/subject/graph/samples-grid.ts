import { ImageNoise } from "../../../../calibration/diffusion/image-noise.js";
import { sample } from "../../../../calibration/diffusion/sample.js";
import type { Predict } from "../../../../calibration/diffusion/trajectory.js";
import { writeFileAtomically } from "../../../../checkpoint/file-system/write-file-atomically.js";
import { encodePng } from "../../../../evaluate/samples/png.js";
import { sampleGrid } from "../../../../evaluate/samples/sample-grid.js";
import { GraphRunner } from "../../../../network/index.js";
import type { RecipeJob, RecipeResults } from "../../../../recipe/job/recipe-job.js";
import { baseline, recipeOf } from "../../../../recipe/job/recipe-names.js";
import { runRecipe } from "../../../../recipe/job/run-recipe.js";
import { resolveRecipeOptions } from "../../../../recipe/options/resolve-recipe-options.js";
import { FinishedNetwork } from "../../../../recipe/state/finished-network.js";
import { KeptResults } from "../../../../recipe/state/kept-results.js";
import { numbersIn } from "../../../../tensor/index.js";
import type { SampledNetwork } from "../../../source/graph/sampler-source.js";

/** Images of a row. */
const IMAGES = 8;

/**
 * Samples images from the same noise, which nothing was calibrated on, with the full-precision network, with one that is rounded to
 * nearest, and with a result, and writes them as a PNG: a row for each, in this order.
 *
 * @throws FileSystemError where the file can't be written
 */
export async function writeSamplesGrid(
  file: string,
  sampled: SampledNetwork,
  job: RecipeJob,
  results: RecipeResults,
): Promise<void> {
  const { device } = job;
  const images = Array.from({ length: IMAGES }, (_, i) => i);
  const row = (predict: Predict): { readonly values: Float32Array; readonly images: number } => {
    const way = sample(sampled.sampler, new ImageNoise(job.seed + 1, images, numbersIn(sampled.shape)));
    let turn = way.next();
    while (turn.done !== true) {
      job.poll();
      turn = way.next(Float32Array.from(predict(turn.value.x, turn.value.time, images)));
    }
    return { values: turn.value, images: IMAGES };
  };
  const full = (): ReturnType<typeof row> => {
    using runner = new GraphRunner(sampled.graph, { device, dtype: "float32" });
    return row(sampled.predict((ports) => runner.run(ports), IMAGES, device));
  };
  const quantized = (of: RecipeJob, made: RecipeResults): ReturnType<typeof row> => {
    using network = new FinishedNetwork(of, made);
    return row(sampled.predict((ports) => network.run(ports), IMAGES, device));
  };
  const nearest = (): ReturnType<typeof row> => {
    const kept = new KeptResults();
    const { range, overrides } = job.options;
    const options = resolveRecipeOptions({ range, overrides: [...overrides], finish: "none" }, { recipe: baseline });
    const own = { ...job, recipe: recipeOf(baseline), options, resume: null, sink: kept, results: kept };
    for (const _ of runRecipe(own));
    return quantized(own, kept);
  };
  const rows = [full(), nearest(), quantized(job, results)];
  await writeFileAtomically(file, encodePng(sampleGrid(rows, sampled.shape)));
}
