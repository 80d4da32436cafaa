import { z } from "zod";

/** The algorithms that turn weights into codes. */
export const recipeNames = ["rtn", "gptq", "cbq"] as const;
export type RecipeName = (typeof recipeNames)[number];
export const defaultRecipe: RecipeName = "cbq";

/** The named sets of values in `presets.ts`. */
export const presetNames = ["default", "paper"] as const;
export type PresetName = (typeof presetNames)[number];
export const defaultPreset: PresetName = "default";

/** The roundings that reconstruction can train. */
export const roundingKinds = ["code", "lora", "adaround"] as const;
export type RoundingKind = (typeof roundingKinds)[number];

const count = z.int().min(1);
const positive = z.number().positive();
const fraction = z.number().min(0).max(1);
const weight = z.number().min(0);

// The defaults of loss, window and rates rest on docs/ablations.md, "Every lever of a window": perplexities below are
// those of SmolLM2-135M at W2A16g64 there. Defaults that go with another option's value stand in presets.ts.
const loss = z.strictObject({
  l2: z
    .enum(["plain", "token"])
    .default("token")
    .describe("squared error: plain, or divided by each token's own magnitude"),
  l2Weight: weight.default(1).describe("weight of the squared error"),
  // 59.2 with it, 39.6 without.
  klWeight: weight.default(0).describe("weight of the KL divergence over the hidden dimension"),
});

const window = z.strictObject({
  // One block 51.2, two without overlap 63.5, two with it 39.6, three 38.5.
  size: count.default(2).describe("blocks that are reconstructed together"),
  overlap: z.int().min(0).default(1).describe("blocks that a window shares with the one before it"),
  // 5 epochs 42.9, 20 epochs 36.9 (and no better at 3 bits).
  epochs: z.int().min(0).default(10).describe("passes over the calibration windows, per window of blocks"),
  // 8 sequences 38.2 and 38.7 (two seeds), 4 35.6 and 36.4 in a third more time, 2 36.4 (the second table there).
  batch: count.default(4).describe("sequences per optimisation step"),
  microBatch: count
    .nullable()
    .default(null)
    .describe(
      "sequences on the device at once; null chooses what fits; other sums may be rounded otherwise, so some codes differ",
    ),
  secondBranch: z
    .boolean()
    .default(false)
    // 39.0 with it, for a stream more.
    .describe("also reconstruct from the quantized stream alone (the paper's homologous branch)"),
  loss: loss.prefault({}),
});

const regulariser = z.strictObject({
  weight: weight.default(0.01).describe("weight of the term that drives soft roundings to 0 or 1 (lora, adaround)"),
  warmup: fraction.default(0.1).describe("fraction of the steps without that term"),
  betaStart: positive.default(20).describe("its exponent after the warm-up"),
  betaEnd: positive.default(2).describe("its exponent at the last step"),
});

const rounding = z.strictObject({
  kind: z
    .enum(roundingKinds)
    .default("code")
    .describe("what is trained: an offset in code units, a low-rank offset, or a full rounding matrix"),
  rank: count.default(5).describe("rank of the low-rank offset (lora)"),
  regulariser: regulariser.prefault({}),
  start: z.enum(["rtn", "gptq"]).default("gptq").describe("codes that training starts from"),
});

// Twice the rate of V 41.0; twice and half that of the scales 38.5 and 42.0 (27.4 both at 3 bits, where 27.0 is the default's).
const rates = z.strictObject({
  rounding: positive.default(5e-3).describe("Adam rate of the rounding parameters, in code units"),
  scale: positive.default(2e-3).describe("Adam rate of the scales, relative to the scale"),
  zeroPoint: positive.default(5e-3).describe("Adam rate of the zero points, in code units"),
  activation: positive.default(1e-2).describe("Adam rate of the activation clips, relative to the clip"),
});

const schedule = z.strictObject({
  finalRate: fraction.default(0.05).describe("fraction of every rate left at the last step of the cosine"),
});

const range = z.strictObject({
  search: z.boolean().default(true).describe("search the clipping that loses least, instead of the full range"),
  candidates: count.default(60).describe("clipping factors tried per group"),
});

const gptq = z.strictObject({
  damping: positive
    .default(0.01)
    .describe("fraction of the Hessian's mean diagonal that is added to it; grows if needed"),
  // Half a point at 2 bits and a tenth at 3 on SmolLM2-135M (docs/ablations.md).
  weightedRange: z.boolean().default(true).describe("weigh the range search with the mean squares of the inputs"),
  widths: z
    .array(positive)
    .min(1)
    .default([1, 1.1, 1.2, 1.3])
    .describe("factors by which ranges are widened; each row keeps the one that loses least"),
  blockSize: count.default(128).describe("columns that are updated together"),
});

const cfp = z.strictObject({
  weights: z.boolean().default(false).describe("truncate outliers of the weights before quantization"),
  activations: z
    .boolean()
    .nullable()
    .default(null)
    .describe(
      "fold outliers of the activations into the weights; null does so where inputs have 4 bits and nothing was rotated",
    ),
  detection: z
    .enum(["cbq", "msmodelslim"])
    .default("cbq")
    .describe(
      "how outliers are found: cbq by quartiles of magnitudes (the paper), msmodelslim by quantiles 0.2 and 0.8 of either sign (Huawei's tool)",
    ),
  exponent: fraction.default(0.5).describe("exponent of an outlier channel's scale"),
  lambda1: positive.default(1.5).describe("interquartile ranges above the third quartile where candidates begin"),
  lambda2: weight.default(1).describe("weight of the variance of what is kept"),
  perRow: z.boolean().default(false).describe("detect the outliers of a weight per output row, not per tensor"),
});

const activation = z.strictObject({
  granularity: z
    .enum(["token", "tensor"])
    .default("token")
    .describe("range of quantized activations: of each token at run time, or one per Linear, fixed by calibration"),
  learnClip: z.boolean().default(true).describe("train the clip of each Linear's input"),
});

const override = z.strictObject({
  pattern: z.string().min(1).describe("module name, `*` for any characters: model.layers.*.mlp.down_proj"),
  bits: z.int().min(2).max(8).optional().describe("bits of its weights"),
  group: z
    .union([count, z.literal("channel")])
    .optional()
    .describe("columns per group, or channel"),
  skip: z.boolean().optional().describe("leave it in the source precision"),
});
export type Override = z.output<typeof override>;

// Four epochs at 0.001: docs/ablations.md, "The last stage".
const endToEnd = z.strictObject({
  epochs: count.default(4).describe("passes over the calibration windows"),
  // 8 sequences lose to 4 at W2, W3 and W4A4, with two seeds each (docs/ablations.md, "4 sequences a step in the last stage").
  batch: count.default(4).describe("sequences per optimisation step"),
  scaleRate: positive.default(1e-3).describe("Adam rate of the scales, relative to the scale"),
  activationRate: positive.default(5e-3).describe("Adam rate of the activation clips, relative to the clip"),
});

/** What may be done to the whole model before its first window. */
export const rotationNames = ["auto", "none", "hadamard"] as const;

/** What the stage behind the last window may train. */
export const finishNames = ["auto", "none", "scales"] as const;

/** Every option of the algorithms, in the order in which help lists them. */
export const recipeOptionsShape = {
  window: window.prefault({}),
  rounding: rounding.prefault({}),
  rates: rates.prefault({}),
  schedule: schedule.prefault({}),
  range: range.prefault({}),
  gptq: gptq.prefault({}),
  rotation: z
    .enum(rotationNames)
    .default("auto")
    .describe(
      "rotate the hidden states and the values of each head, so that no channel is an outlier: hadamard, or none; auto rotates for cbq with inputs of 4 bits",
    ),
  cfp: cfp.prefault({}),
  activation: activation.prefault({}),
  finish: z
    .enum(finishNames)
    .default("auto")
    .describe(
      "last stage, all blocks at once on the model's output: train their scales, or none; auto trains them behind cbq where memory allows it",
    ),
  endToEnd: endToEnd.prefault({}),
  overrides: z
    .array(override)
    .default([])
    .describe('exceptions by module name; the last that matches wins: [{"pattern": "*.down_proj", "bits": 8}]'),
} as const;

// `resolveRecipeOptions` fills in what the schema leaves open; parsed alone it would take other defaults than a run.
type Schema = z.ZodObject<typeof recipeOptionsShape, z.core.$strict>;

/** Resolved options: every value present. */
export type RecipeOptions = z.output<Schema>;

/** What a preset or a caller may leave out. */
export type RecipeOptionsInput = z.input<Schema>;
