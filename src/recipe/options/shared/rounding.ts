import { z } from "zod";
import { OptionError } from "../../../errors.js";
import { withTraining } from "../conditions.js";
import { fragment } from "../fragment.js";
import { count, fraction, positive, weight } from "../numbers.js";
import { always, setting, when } from "../reading.js";

const regulariser = z.strictObject({
  weight: weight
    .default(0.01)
    .describe("weight of the rounding penalty, which drives soft roundings to 0 or 1 (lora, adaround)"),
  warmup: fraction.default(0.1).describe("fraction of the steps without the penalty"),
  betaStart: positive.default(20).describe("its exponent after the warm-up"),
  betaEnd: positive.default(2).describe("its exponent at the last step"),
});

const rounding = z.strictObject({
  kind: z
    .enum(["code", "lora", "adaround"])
    .default("code")
    .describe("what is trained: an offset in code units, a low-rank offset, or a full rounding matrix"),
  rank: count.default(5).describe("rank of the low-rank offset (lora)"),
  regulariser: regulariser.prefault({}).describe("the penalty that drives soft roundings to 0 or 1"),
  start: z.enum(["rtn", "gptq", "boa"]).default("gptq").describe("codes that training starts from"),
});

type WithRounding = z.output<z.ZodObject<{ rounding: typeof rounding }>>;

const lora = setting<WithRounding>("rounding.kind=lora", "rounding.kind=lora", (o) => o.rounding.kind === "lora");
const soft = setting<WithRounding>(
  "rounding.kind=lora or adaround",
  "rounding.kind=lora",
  (options) => options.rounding.kind !== "code",
);

/** @throws OptionError where training starts at the weight itself, and codes are given */
export function checkStart({ kind, start }: z.output<typeof rounding>): void {
  if (start === "rtn" || kind === "code") return;
  throw new OptionError({
    where: "rounding.start",
    what: `"${start}" does not go with the rounding "${kind}", which starts at the weight itself`,
    next: "use --set rounding.kind=code or --set rounding.start=rtn",
  });
}

/** Windows start from BoA's codes. */
export const startingFromBoa = setting<WithRounding>(
  "rounding.start=boa",
  "rounding.start=boa",
  (options) => options.rounding.start === "boa",
);

/** Which rounding of the weights windows train, and where it starts. */
export const roundingOptions = fragment(
  rounding.prefault({}).describe("which rounding of the weights windows train, and where it starts"),
  { kind: always, rank: when(lora), regulariser: when(soft, withTraining), start: always },
  {
    // Rates mean something else under a sigmoid, and training starts at the weight itself.
    dependentDefaults: [
      {
        option: "rounding.kind",
        value: "lora",
        defaults: { rounding: { start: "rtn" }, rates: { rounding: 1e-1, scale: 3e-3 } },
      },
      {
        option: "rounding.kind",
        value: "adaround",
        defaults: { rounding: { start: "rtn" }, rates: { rounding: 3e-2, scale: 1e-3 } },
      },
    ],
  },
);
