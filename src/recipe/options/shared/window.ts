import { z } from "zod";
import { withTraining } from "../conditions.js";
import { fragment } from "../fragment.js";
import { count, weight } from "../numbers.js";
import { always, setting, when } from "../reading.js";

// The defaults of loss, window and rates rest on docs/measurements/ablations.md, "Every lever of a window": perplexities below are
// those of SmolLM2-135M at W2A16g64 there. Defaults that go with another option's value stand beside that option.
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
  epochs: z.int().min(0).default(10).describe("passes over the calibration sequences, per window"),
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
  loss: loss.prefault({}).describe("what a window is held to"),
});

const squaring = setting<z.output<z.ZodObject<{ window: typeof window }>>>(
  "window.loss.l2Weight above 0",
  "window.loss.l2Weight=1",
  ({ window: { loss: of } }) => of.l2Weight > 0,
);

/** The windows of blocks that are reconstructed together, and how; `microBatch` every recipe reads. */
export const windowOptions = fragment(
  window.prefault({}).describe("windows of blocks that are reconstructed together"),
  {
    size: always,
    overlap: always,
    epochs: always,
    batch: when(withTraining),
    secondBranch: always,
    loss: { l2: when(squaring), l2Weight: always, klWeight: always },
  },
);
