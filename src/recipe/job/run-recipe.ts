import { OptionError } from "../../errors.js";
import { deviceMemory, useOwnStream } from "../../tensor/index.js";
import { stagesOfJob, stageWindows } from "../end-to-end/stages.js";
import { trainNetwork } from "../end-to-end/train-network.js";
import { asRecipeWants } from "../state/as-recipe-wants.js";
import { drive } from "../state/driver.js";
import { afterParts, behindParts, withTrainedModel } from "../whole-model/after-training.js";
import { trainWholeModel } from "../whole-model/train-whole-model.js";
import { trainingOf } from "../whole-model/whole-model-training.js";
import type { RecipeEvent, RecipeJob, RecipeReport } from "./recipe-job.js";

/**
 * Runs the recipe that the job names, a training of all weights before it, and the trainings of the whole network after it. Synchronous between two events; `job.poll` may throw to
 * stop it.
 *
 * @throws OptionError for a recipe without the text or the time steps that it needs, or options that do not go together
 */
export function* runRecipe(given: RecipeJob): Generator<RecipeEvent, RecipeReport> {
  const job = asRecipeWants(given);
  const { recipe, tokens, options } = job;
  if (recipe.needsText && tokens === null) {
    throw new OptionError({
      where: `recipe ${recipe.name}`,
      what: "needs calibration text",
      next: "give --calibration PATH",
    });
  }
  checkInputs(job);
  if (recipe.needsTimeSteps === true && job.timeInput === undefined) {
    throw new OptionError({
      where: `recipe ${recipe.name}`,
      what: "needs the network of a diffusion model: an ONNX file one of whose inputs is the time step",
      next: "choose another recipe (crossblock recipes), or name the sampler of the network: --sampler ddim --steps 50",
    });
  }
  recipe.check?.(options, job.scheme);
  useOwnStream(job.device);
  const stages = stagesOfJob(job);
  const training = trainingOf(job);
  const parts = training?.parts ?? 0;
  let first = parts + recipe.windows(job.network.units.length, options).length;
  const windows = first + stageWindows(stages);
  if (training !== null) yield* trainWholeModel(job, training, windows);
  const trained = training === null ? job : withTrainedModel(job);
  if ((job.resume?.window ?? 0) < first) {
    yield* parts === 0 ? drive(recipe, job) : behindParts(drive(recipe, afterParts(trained, parts)), parts);
  }
  for (const stage of stages) {
    yield* trainNetwork(trained, stage, first, windows);
    first += stageWindows([stage]);
  }
  return { devicePeakBytes: deviceMemory(job.device)?.peak ?? null };
}

function checkInputs({ recipe, network, options, scheme, tokens }: RecipeJob): void {
  if (network.staticInputs === true) {
    if (tokens !== null || scheme.activationBits === 16) return;
    throw new OptionError({
      where: `recipe ${recipe.name}`,
      what: `inputs of ${scheme.activationBits} bits need calibration examples`,
      why: "the range of every tensor is measured on them",
      next: "give --calibration PATH, or a scheme with A16",
    });
  }
  const other = options.overrides.find(({ inputBits }) => inputBits !== undefined);
  if (other === undefined) return;
  throw new OptionError({
    where: `overrides: "${other.pattern}"`,
    what: "gives inputs bits of their own",
    why: "only ONNX graphs hold inputs of several widths",
    next: "leave inputBits out: the scheme says how inputs are quantized",
  });
}
