import { OptionError } from "../errors.js";
import { kurtosis as kurtosisOf } from "../reconstruct/objective/kurtosis.js";
import { gptq } from "./gptq.js";
import { part } from "./options/fragment.js";
import { byGptq, kurtosisOptions } from "./options/own/kurtosis.js";
import { always, when } from "./options/reading.js";
import { gptqOptions } from "./options/shared/gptq.js";
import { scheduleOptions } from "./options/shared/rates.js";
import { defineRecipe } from "./recipe.js";
import { columns } from "./solve/column-solver.js";
import { gptqRule, nearestRule } from "./solve/layer-rule.js";

/**
 * Activation regularisation: a language model is trained whole, from random weights or those of a folder, with the inputs of
 * its Linears quantized to static ranges whose ends are learnt. Such training alone moves the outliers of inputs into the
 * weights, and rounding these then costs more; so the kurtosis of what Linears give is held down too. Then the weights are
 * rounded, which learnt nothing of that. With `kurtosis.inputs=float` and `kurtosis.weight=0` it is plain training.
 *
 * It has to begin early: a finished model that went through this lost 16 % of its perplexity in the paper. Penalties on the
 * kurtosis or the norm of weights themselves, and rounding weights meanwhile, were not stable there. The paper does not say
 * over which tokens and layers its weight of 1e-5 sums; here the mean over tokens is summed over Linears.
 * Source: Nrusimha et al. (arXiv 2404.03605), sections 4.1 to 4.3.
 */
export const kurtosis = defineRecipe({
  name: "kurtosis",
  title: "activation regularisation: a model trained with quantized inputs and outputs of low kurtosis",
  paper: "arXiv 2404.03605",
  onlyText: "trains a model on the next tokens of a text",
  about: {
    trains: "all weights of the model, and the ranges of its inputs",
    use: "models that you train yourself, from their first step on: W4A4 with one fixed range per Linear",
    cost: "a training of the model",
  },
  options: {
    kurtosis: kurtosisOptions,
    schedule: part(scheduleOptions, { finalRate: always }),
    gptq: part(gptqOptions, when(byGptq)),
  },
  presets: {
    default: { activation: { granularity: "tensor" } },
    // Its batches of a million tokens are --context and kurtosis.batch. Its grids are not shifted to hold zero, which no
    // integer format could hold.
    paper: {
      activation: { granularity: "tensor" },
      kurtosis: { rate: 1.5e-4, inputRate: 1.5e-4, inputStart: 4, weight: 1e-5, epochs: 1 },
    },
  },
  efforts: { quick: { kurtosis: { epochs: 1 } }, best: { kurtosis: { epochs: 8 } } },
  training: null,
  withoutExperts: "trains networks whose tokens all pass the same weights",
  needsText: true,
  followedByEndToEnd: false,
  rotatesByDefault: false,

  // L = CE + lambda * sum over Linears of the mean over tokens of Kurt(y): section 4.2.
  wholeModel: ({ kurtosis: options, schedule }) => ({
    penalty: options.weight === 0 ? null : (y) => kurtosisOf(y).mean().mul(options.weight),
    quantizesInputs: options.inputs === "quantized",
    aligned: options.alignZero,
    inputStart: options.inputStart,
    rates: { weight: options.rate, input: options.inputRate },
    epochs: options.epochs,
    batch: options.batch,
    warmup: options.warmup,
    finalRate: schedule.finalRate,
    weightDecay: options.decay,
    maxGradient: options.maxGradient,
    parts: options.parts,
    fromScratch: options.from === "scratch",
    options: { scratch: "kurtosis.from=scratch", rate: "kurtosis.rate" },
  }),

  check({ activation, rotation, bitsBudget }) {
    if (activation.granularity !== "tensor") throw refused("activation.granularity", "token", "tensor");
    // The ranges would be those of another model.
    if (rotation === "hadamard") throw refused("rotation", "hadamard", "none");
    if (bitsBudget === null) return;
    throw new OptionError({
      where: "option bitsBudget",
      what: "bits are shared out by what Linears matter to the model, which recipe kurtosis is yet to train",
      next: "leave it out here, and quantize the trained folder then: --recipe gptq --bits-budget N",
    });
  },

  windows: gptq.windows,
  chain: gptq.chain,
  prepare: gptq.prepare,
  cost: ({ kurtosis: { codes, batch } }) => ({
    trains: false,
    batch,
    moments: codes === "gptq" ? "site" : "none",
    passes: 3,
    parameters: () => 0,
    normParameters: 0,
  }),
  solve(work) {
    const { options } = work.job;
    return columns(work, options.kurtosis.codes === "gptq" ? gptqRule(options) : nearestRule(options));
  },
});

function refused(option: string, value: string, instead: string): OptionError {
  return new OptionError({
    where: `option ${option}`,
    what: `${value} does not go with recipe kurtosis`,
    why: "inputs have one range per Linear, which is learnt",
    next: `leave it out, or give --set ${option}=${instead}`,
  });
}
