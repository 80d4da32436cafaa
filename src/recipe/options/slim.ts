import { z } from "zod";
import { OptionError } from "../../errors.js";
import { type Scheme, schemeName } from "../../quant/scheme.js";
import { fragment } from "./fragment.js";
import { count, positive } from "./numbers.js";
import { always, setting, when } from "./reading.js";
import { augmentedBlockError } from "./shared/block-error.js";

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
  clipping: z
    .enum(["searched", "learnt"])
    .default("searched")
    .describe("ranges of groups as they are found, or trained block by block behind it (SliM-LLM+)"),
  codes: z
    .enum(["solved", "nearest"])
    .default("solved")
    .describe(
      "what learnt ranges have for codes: GPTQ's, which stay while scales are learnt; or the nearest of the model's own weights, in each step, while clips are (the paper)",
    ),
  epochs: count.default(10).describe("passes over the calibration sequences in which ranges are learnt, per block"),
  batch: count.default(4).describe("sequences per optimisation step"),
  rate: positive
    .default(2e-2)
    .describe("Adam rate of the scales, relative to the scale, or of the logits of the clips (nearest)"),
  ...augmentedBlockError,
});
/** What SliM-LLM reads. */
export type Slim = z.output<typeof slim>;

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

/** @throws OptionError where no group could get other bits than the next one */
export function checkGroups(scheme: Scheme): void {
  const { groupSize, bits } = scheme;
  const grouped = schemeName({ ...scheme, groupSize: 64 });
  if (groupSize !== null && bits < 8) return;
  throw new OptionError({
    where: "recipe slim",
    what:
      groupSize === null
        ? "a row is one group, so that there are no bits to share out"
        : "codes have 8 bits at most, so that no group can get one more",
    next: groupSize === null ? `give groups (--scheme ${grouped}), or use --recipe gptq` : "use --recipe gptq",
  });
}

/** Ranges are trained: SliM-LLM+. */
export const learningRanges = setting<{ readonly slim: { readonly clipping: string } }>(
  "slim.clipping=learnt",
  "slim.clipping=learnt",
  (options) => options.slim.clipping === "learnt",
);
const learning = when(learningRanges);

/** How SliM-LLM ranks groups and finds their ranges, and how SliM-LLM+ trains these. */
export const slimOptions = fragment(
  slim.prefault({}),
  {
    salience: always,
    judge: always,
    ranges: always,
    lambda: when(bySalience),
    clipping: always,
    codes: learning,
    epochs: learning,
    batch: learning,
    rate: learning,
    secondBranch: learning,
    loss: learning,
  },
  {
    // As the paper trains clips: single sequences at a rate that stays, against both full-precision branches.
    dependentDefaults: [
      {
        option: "slim.codes",
        value: "nearest",
        defaults: {
          slim: { epochs: 50, batch: 1, rate: 1e-2, secondBranch: true, loss: "plain" },
          schedule: { finalRate: 1 },
        },
      },
    ],
  },
);
