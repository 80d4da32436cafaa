import { fixedStep } from "../quant/input/activation.js";
import { singleBlocks } from "../reconstruct/schedule.js";
import { calibrateStaticInputs } from "./measure/static-ranges.js";
import { gptqOptions } from "./options/shared/gptq.js";
import { defineRecipe } from "./recipe.js";
import { columns } from "./solve/column-solver.js";
import { gptqRule } from "./solve/layer-rule.js";

/** GPTQ, layer by layer, on the stream of what is already quantized. Source: Frantar et al. (arXiv 2210.17323). */
export const gptq = defineRecipe({
  name: "gptq",
  title: "GPTQ: the columns of a weight one after the other, each making up for those before it",
  paper: "arXiv 2210.17323",
  about: {
    trains: "nothing",
    use: "good codes at 4 bits and more, quickly",
    cost: "one pass over the text",
  },
  options: { gptq: gptqOptions },
  presets: { default: {} },
  training: null,
  keepsInputs: true,
  needsText: true,
  followedByEndToEnd: false,
  rotatesByDefault: false,
  windows: singleBlocks,
  chain: () => ({ input: "quantized", targets: [] }),
  cost: () => ({ trains: false, moments: "site", passes: 3, parameters: () => 0, normParameters: 0 }),
  prepare(block, stream, { job }) {
    block.castWeights(job.dtype);
    if (stream !== null) calibrateStaticInputs(job, block, stream, fixedStep);
  },
  solve: (window) => columns(window, gptqRule(window.job.options)),
});
