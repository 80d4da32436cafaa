import { z } from "zod";
import { quantizedInputs } from "../conditions.js";
import { fragment } from "../fragment.js";
import { count, fraction, positive, weight } from "../numbers.js";
import { always, setting, when } from "../reading.js";
import { withBudget } from "../shared/allocation.js";

const penalty = z.strictObject({
  weight: weight
    .default(0.01)
    .describe("weight of the rounding penalty, a sum over all weights; the released code takes 0.1 for MobileNetV2"),
  warmup: fraction.default(0.2).describe("fraction of the steps without the penalty"),
  betaStart: positive.default(20).describe("its exponent after the warm-up"),
  betaEnd: positive.default(2).describe("its exponent at the last step"),
});

const inputs = z.strictObject({
  order: z
    .enum(["together", "after"])
    .default("together")
    .describe(
      "steps of quantized inputs are learnt together with the roundings, which then make up for the inputs too; or after them, on the full-precision stream (the paper)",
    ),
  epochs: z.int().min(0).default(60).describe("passes over the examples for the steps alone (after)"),
  rate: positive.default(1e-2).describe("Adam rate of the steps"),
  unit: z
    .enum(["step", "absolute"])
    .default("step")
    .describe("what the rate is in: shares of each step, or absolute numbers (the paper)"),
  power: positive.default(2).describe("the error of inputs and outputs is raised to this power (the paper: 2.4)"),
});

/** How quantized inputs get their steps. */
export type InputOptions = z.output<typeof inputs>;

const brecq = z.strictObject({
  unit: z
    .enum(["block", "layer"])
    .default("block")
    .describe("what is reconstructed at once in an ONNX graph: a residual block, or every layer by itself (AdaRound)"),
  window: count.default(1).describe("units that are reconstructed together"),
  overlap: z.int().min(0).default(0).describe("units that a window shares with the one before it"),
  rounding: z
    .enum(["adaround", "code"])
    .default("adaround")
    .describe("what is trained: a soft choice between floor and ceiling (the paper), or an offset in code units"),
  loss: z
    .enum(["l2", "fisher"])
    .default("l2")
    .describe(
      "squared error of a window's output: plain, or weighted by gradients of the network's output (the paper)",
    ),
  fisher: z
    .enum(["squared", "damped"])
    .default("squared")
    .describe("the weights: squared gradients (the paper), or (|g| + 1)^2 (the released code)"),
  epochs: z.int().min(0).default(60).describe("passes over the examples, per window"),
  batch: count.default(32).describe("examples per optimisation step"),
  // A soft choice begins and is decided within some 2.4 of 0: fewer steps need a higher rate.
  rate: positive
    .nullable()
    .default(null)
    .describe("Adam rate of the roundings; null: 15 over the number of steps, from 1e-3 to 0.1, or 5e-3 in code units"),
  scaleRate: positive.default(2e-3).describe("Adam rate of the scales, relative to the scale (code)"),
  penalty: penalty.prefault({}).describe("the penalty that drives soft choices to 0 or 1"),
  rangePower: positive
    .default(2)
    .describe("the starting range of a row loses least by this power of the error (the paper: 2.4)"),
  ends: z
    .union([z.literal(4), z.literal(8)])
    .nullable()
    .default(8)
    .describe(
      "least bits of a graph's first and last layers, and of the last one's input; null treats them like others",
    ),
  bitsBy: z
    .enum(["size", "latency"])
    .default("size")
    .describe("what a budget of bits is a mean over: all weights, or all multiply-adds of an example"),
  latency: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe(
      'JSON file of what layers take at their bits, in any unit, {"conv1": {"4": 1.2, "8": 2.1}}: the budget is then what all of them take with so many bits; null counts multiply-adds',
    ),
  inputs: inputs.prefault({}).describe("how quantized inputs get their steps"),
});

/** How BRECQ reconstructs. */
export type Brecq = z.output<typeof brecq>;

type WithBrecq = { readonly brecq: Brecq };
const holding = (text: string, holds: (options: Brecq) => boolean): ReturnType<typeof setting<WithBrecq>> =>
  setting<WithBrecq>(`brecq.${text}`, `brecq.${text}`, ({ brecq: options }) => holds(options));

const soft = holding("rounding=adaround", ({ rounding }) => rounding === "adaround");
const inCodes = holding("rounding=code", ({ rounding }) => rounding === "code");
const byGradients = holding("loss=fisher", ({ loss }) => loss === "fisher");
const byLatency = holding("bitsBy=latency", ({ bitsBy }) => bitsBy === "latency");
const after = holding("inputs.order=after", ({ inputs: { order } }) => order === "after");

/** Roundings are learnt. */
export const trainingRoundings = setting<WithBrecq>(
  "brecq.epochs above 0",
  "brecq.epochs=60",
  ({ brecq: { epochs } }) => epochs > 0,
);

/** How BRECQ reconstructs a network unit by unit. */
export const brecqOptions = fragment(brecq.prefault({}).describe("how BRECQ reconstructs a network unit by unit"), {
  ...{ unit: always, window: always, overlap: always, rounding: always, ends: always, rangePower: always },
  ...{ loss: always, epochs: always, batch: when(trainingRoundings), rate: when(trainingRoundings) },
  bitsBy: when(withBudget),
  latency: when(withBudget, byLatency),
  fisher: when(trainingRoundings, byGradients),
  penalty: when(trainingRoundings, soft),
  scaleRate: when(trainingRoundings, inCodes),
  inputs: {
    order: when(quantizedInputs),
    epochs: when(quantizedInputs, after),
    rate: when(quantizedInputs),
    unit: when(quantizedInputs),
    power: when(quantizedInputs),
  },
});
