import { z } from "zod";
import { fragment } from "../fragment.js";
import { count, positive } from "../numbers.js";
import { always } from "../reading.js";

const gptq = z.strictObject({
  damping: positive
    .default(0.01)
    .describe("fraction of the Hessian's mean diagonal that is added to it; grows if needed"),
  // Half a point at 2 bits and a tenth at 3 on SmolLM2-135M (docs/measurements/ablations.md).
  weightedRange: z.boolean().default(true).describe("weigh the range search with the mean squares of the inputs"),
  widths: z
    .array(positive)
    .min(1)
    .default([1, 1.1, 1.2, 1.3])
    .describe("factors by which ranges are widened; each row keeps the one that loses least"),
  refit: z.boolean().default(false).describe("fit the scales once more to the codes, by what the output loses"),
  blockSize: count.default(128).describe("columns that are updated together"),
});

/**
 * GPTQ's solver. Recipes that train read it too: they start from its codes, and a window whose training never becomes finite
 * falls back to them.
 */
export const gptqOptions = fragment(gptq.prefault({}), always);
