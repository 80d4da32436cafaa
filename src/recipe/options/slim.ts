import { z } from "zod";
import { fragment } from "./fragment.js";
import { always, setting, when } from "./reading.js";

const slim = z.strictObject({
  salience: z
    .enum(["inverse", "factor"])
    .default("inverse")
    .describe(
      "what a weight's square is divided by to rank groups: the squared diagonal of the inverse Hessian, or that of its Cholesky factor",
    ),
  judge: z
    .enum(["solved", "rounded"])
    .default("solved")
    .describe(
      "how a split of the bits is judged: by what GPTQ with these bits loses of the output, or by the paper's divergence with groups rounded to nearest",
    ),
  ranges: z
    .enum(["weighted", "salience"])
    .default("weighted")
    .describe(
      "ranges of groups: by the search that weighs columns by their inputs, or by the paper's, which weighs salient weights (SQC)",
    ),
  lambda: z.number().min(1).default(2).describe("how often the error of a salient weight counts"),
});

const bySalience = setting<{ readonly slim: { readonly ranges: string } }>(
  "slim.ranges=salience",
  "slim.ranges=salience",
  (options) => options.slim.ranges === "salience",
);

/** Ranges are found by the search that GPTQ has. */
export const byWeights = setting<{ readonly slim: { readonly ranges: string } }>(
  "slim.ranges=weighted",
  "slim.ranges=weighted",
  (options) => options.slim.ranges === "weighted",
);

/** How SliM-LLM ranks groups and finds their ranges. */
export const slimOptions = fragment(slim.prefault({}), {
  salience: always,
  judge: always,
  ranges: always,
  lambda: when(bySalience),
});
