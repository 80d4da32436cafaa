import { z } from "zod";
import { quantizedInputs } from "../conditions.js";
import { fragment } from "../fragment.js";
import { count, fraction, positive, weight } from "../numbers.js";
import { always, setting, when } from "../reading.js";

const tfmq = z.strictObject({
  tiar: z
    .boolean()
    .default(true)
    .describe("reconstruct the time embedding and its projections together, apart from the blocks that read them"),
  fsc: z
    .boolean()
    .default(true)
    .describe("a range of every quantized input for each time step, in place of one for all"),
  unknownStep: z
    .enum(["error", "nearest"])
    .default("error")
    .describe("what becomes of a time step that ranges were not found for: it is refused, or takes the nearest one's"),
  biases: z
    .boolean()
    .default(true)
    .describe("biases give each layer's outputs, by channel, the mean that they have in full precision"),
  epochs: count.default(20).describe("passes over the examples, per block"),
  // What it loses of a DDPM at W4, of 1.7 % rounded to nearest: 1.4 % after 120 steps, 0.13 % after 2,000.
  temporalSteps: count
    .default(2000)
    .describe(
      "steps that the time embedding is trained for at least: it is small, sees few time steps, and all depends on it",
    ),
  batch: count.default(16).describe("examples per optimisation step"),
  rate: positive.default(2e-2).describe("Adam rate of the rounding variables"),
  penalty: weight
    // Of the time embedding after 600 steps: 1.3 % at 0.1, 0.97 % at 1, 0.51 % at 10, 0.33 % at 30.
    .default(30)
    .describe("weight of the rounding penalty, where rounding to nearest would lose 1 of a block"),
  warmup: fraction.default(0.2).describe("fraction of the steps without the penalty"),
});
/** How the networks of diffusion models are quantized. */
export type Tfmq = z.output<typeof tfmq>;

/** Each time step has ranges of its own. */
const byStep = setting<{ readonly tfmq: Tfmq }>("tfmq.fsc=true", "tfmq.fsc=true", (options) => options.tfmq.fsc);

/** How the networks of diffusion models are quantized. */
export const tfmqOptions = fragment(tfmq.prefault({}).describe("how the networks of diffusion models are quantized"), {
  tiar: always,
  fsc: when(quantizedInputs),
  unknownStep: when(quantizedInputs, byStep),
  biases: always,
  ...{ epochs: always, temporalSteps: always, batch: always, rate: always, penalty: always, warmup: always },
});
