import { OptionError } from "../../../errors.js";
import type { FormatName } from "../../../format/exporters.js";
import { recipeNames, recipeOf } from "../../../recipe/job/recipe-names.js";
import { optionEntries, optionValue, type UntypedOptions } from "../../../recipe/options/merge-options.js";
import { textPaths } from "../calibration-option.js";
import type { GivenOptions } from "../options.js";
import { listed } from "../parse/listed.js";
import { graphFormat } from "./is-graph.js";

/** What options are for a graph where nothing else says it: over presets, under efforts and what is given. */
export const graphDefaults = {
  samples: 512,
  format: [graphFormat],
  finish: "none",
  rotation: "none",
  cfp: { activations: false },
  activation: { granularity: "tensor" },
  // Rows of feature maps are no tokens: behind a ReLU whole rows are zero, and an error divided by theirs is none.
  window: { loss: { l2: "plain", l2Weight: 1, klWeight: 0 } },
  // Convolutions lose more to short products than language models do.
  compute: { dtype: "float32" },
} as const satisfies UntypedOptions;

/** Options that mean nothing for a graph, by the beginning of their names, and why. */
const textOnly: Readonly<Record<string, string>> = {
  context: "an image has no length in tokens",
  revision: "a file is no model of the hub",
  selfGenerated: "only language models make up what they are calibrated on",
  experts: "a graph has no stacks of experts",
  expertTokens: "a graph has no stacks of experts",
  rotation: "only the hidden states of a decoder can be rotated",
  finish: "scales are trained end to end on the next tokens of a text",
  endToEnd: "scales are trained end to end on the next tokens of a text",
  bitsBudget: "a budget is shared out by what the next tokens lose",
  allocation: "a budget is shared out by what the next tokens lose",
  transform: "matrices are folded along the norms and Linears of a decoder",
  affine: "matrices are folded along the norms and Linears of a decoder",
  "cfp.activations": "outliers are folded along the norms and Linears of a decoder",
  "activation.granularity": "runtimes of graphs know one range a tensor",
};

/**
 * Refuses what a graph can't be quantized with, before anything is read.
 *
 * @param given as it was written
 * @throws OptionError with the reason, and the nearest that works
 */
export function assertForGraph(given: UntypedOptions, options: GivenOptions): void {
  const { recipe } = options;
  const { onlyText, shareBits } = recipeOf(recipe);
  if (onlyText !== undefined) {
    const others = recipeNames.filter((name) => {
      const { onlyText: text, needsTimeSteps } = recipeOf(name);
      return text === undefined && needsTimeSteps !== true;
    });
    throw new OptionError({
      where: "--recipe",
      what: `${recipe} ${onlyText}, and ${options.model} is an ONNX graph`,
      next: `use --recipe ${listed(others, "or")}`,
    });
  }
  for (const [name, value] of optionEntries(given)) {
    const rule = Object.keys(textOnly).find((prefix) => name === prefix || name.startsWith(`${prefix}.`));
    if (rule === undefined || value === null || value === optionValue(graphDefaults, name)) continue;
    // Some recipes share out bits by other means than the loss on the next tokens.
    if ((rule === "bitsBudget" || rule === "allocation") && shareBits !== undefined) continue;
    throw new OptionError({
      where: `option "${name}"`,
      what: `it is for language models: ${textOnly[rule]}`,
      next: "leave it out",
    });
  }
  assertCalibration(options);
  assertFormats(options.format);
}

/**
 * Refuses recipes for graphs with a language model.
 *
 * @throws OptionError
 */
export function assertForText({ recipe, model }: GivenOptions): void {
  if (recipeOf(recipe).needsTimeSteps !== true) return;
  throw new OptionError({
    where: "--recipe",
    what: `${recipe} is for the networks of diffusion models, ONNX files, and ${model} is a language model`,
    next: "use another one: crossblock recipes tells what each is for",
  });
}

function assertCalibration(options: GivenOptions): void {
  const paths = new Set(textPaths(options));
  const other = options.calibration.find((each) => !paths.has(each));
  if (other === undefined) return;
  throw new OptionError({
    where: 'option "calibration"',
    what: `"${other}" is text, and an ONNX graph is calibrated on images or prepared tensors`,
    next: "give a folder of images, or a .npy or .safetensors file",
  });
}

function assertFormats(formats: readonly FormatName[]): void {
  const other = formats.find((format) => format !== graphFormat);
  if (other === undefined) return;
  throw new OptionError({
    where: `--format ${other}`,
    what: "it holds language models, and an ONNX graph is written as ONNX again",
    next: `leave it out, or use --format ${graphFormat}`,
  });
}
