import { z } from "zod";
import { quantizedInputs } from "../conditions.js";
import { fragment } from "../fragment.js";
import { count, fraction, positive, weight } from "../numbers.js";
import { always, setting, when } from "../reading.js";

const kurtosis = z.strictObject({
  from: z
    .enum(["folder", "scratch"])
    .default("folder")
    .describe(
      "which weights are trained: the folder's, or random ones, for which config.json and a tokenizer are enough",
    ),
  inputs: z
    .enum(["quantized", "float"])
    .default("quantized")
    .describe("whether the inputs of Linears are quantized while the model trains, or only measured afterwards"),
  weight: weight
    // 1.5e-3 holds outputs below the kurtosis of uniform numbers, which costs more than it gains (docs/measurements/training.md).
    .default(1e-4)
    .describe("weight of the kurtosis in the loss: its mean over tokens, summed over Linears"),
  epochs: count.default(4).describe("passes over the text"),
  batch: count.default(16).describe("sequences per optimisation step"),
  rate: positive.default(1e-3).describe("AdamW rate of the weights, at its highest"),
  inputRate: positive.default(1e-3).describe("rate of the ends of input ranges, without momentum and decay"),
  inputStart: positive
    .nullable()
    .default(null)
    .describe("what input ranges begin with, from minus to plus this number; null measures them"),
  alignZero: z
    .boolean()
    .default(true)
    .describe("shift input grids so that zero is one of their levels, as formats need it"),
  warmup: fraction.default(0.03).describe("fraction of the steps over which every rate rises to its full value"),
  decay: weight.default(0.1).describe("AdamW's decay of matrices, at the full rate"),
  // fp32 has no factor for less.
  maxGradient: z
    .number()
    .min(1e-9)
    .nullable()
    .default(1)
    .describe("longest gradient of a step, over all weights; null takes it as it is"),
  parts: count.default(10).describe("parts that the training is saved in: a killed run loses one at most"),
  codes: z
    .enum(["nearest", "gptq"])
    .default("gptq")
    .describe("how the trained weights are rounded in the end: to the nearest code, or by GPTQ"),
});
/** How a model is trained whole, and rounded then. */
export type Kurtosis = z.output<typeof kurtosis>;

const quantizing = setting<{ readonly kurtosis: Kurtosis }>(
  "kurtosis.inputs=quantized",
  "kurtosis.inputs=quantized",
  (options) => options.kurtosis.inputs === "quantized",
);

/** Weights are rounded by GPTQ. */
export const byGptq = setting<{ readonly kurtosis: Kurtosis }>(
  "kurtosis.codes=gptq",
  "kurtosis.codes=gptq",
  (options) => options.kurtosis.codes === "gptq",
);

/** How a model is trained so that its inputs have no outliers. */
export const kurtosisOptions = fragment(
  kurtosis.prefault({}).describe("how a model is trained with quantized inputs and outputs of low kurtosis"),
  {
    ...{ from: always, weight: always, epochs: always, batch: always, rate: always },
    inputs: when(quantizedInputs),
    inputRate: when(quantizedInputs, quantizing),
    inputStart: when(quantizedInputs, quantizing),
    alignZero: when(quantizedInputs),
    ...{ warmup: always, decay: always, maxGradient: always, parts: always, codes: always },
  },
);
