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
  epochs: count.default(12).describe("passes over the examples, per block"),
  batch: count.default(16).describe("examples per optimisation step"),
  rate: positive.default(2e-2).describe("Adam rate of the rounding variables"),
  penalty: weight
    .default(0.1)
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
  ...{ epochs: always, batch: always, rate: always, penalty: always, warmup: always },
});
