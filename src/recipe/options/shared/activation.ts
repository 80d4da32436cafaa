import { z } from "zod";
import { quantizedInputs } from "../conditions.js";
import { fragment } from "../fragment.js";
import { when } from "../reading.js";

const activation = z.strictObject({
  granularity: z
    .enum(["token", "tensor"])
    .default("token")
    .describe("range of quantized activations: of each token at run time, or one per Linear, fixed by calibration"),
  learnClip: z.boolean().default(true).describe("train the clip of each Linear's input"),
});

/** How the inputs of Linears are quantized, and whether windows train their clips. */
export const activationOptions = fragment(activation.prefault({}).describe("how the inputs of Linears are quantized"), {
  granularity: when(quantizedInputs),
  learnClip: when(quantizedInputs),
});
