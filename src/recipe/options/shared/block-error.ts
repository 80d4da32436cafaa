import { z } from "zod";

/** Fields of recipes that train blocks on the squared error of their output. */
export const blockError = {
  loss: z
    .enum(["plain", "token"])
    .default("token")
    .describe("squared error: plain (the paper), or divided by each token's own magnitude"),
};

/** Those of recipes that may hold a block against both of its full-precision streams, besides. */
export const augmentedBlockError = {
  secondBranch: z
    .boolean()
    .default(false)
    .describe("also reconstruct what the full-precision block makes of the quantized stream (the augmented loss)"),
  ...blockError,
};
