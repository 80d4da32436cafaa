import { z } from "zod";
import { WEIGHT_BITS } from "../../../quant/scheme.js";
import { withText } from "../conditions.js";
import { fragment } from "../fragment.js";
import { setting, when } from "../reading.js";

/** The most that the mean of the bits of all codes may be, where each Linear gets bits of its own. */
export const bitsBudgetOptions = fragment(
  z
    .number()
    .min(2)
    .max(8)
    .nullable()
    .default(null)
    .describe(
      "mean bits of a code that the run may spend, 2.5 say: Linears that the output depends on most get more, others fewer; scales and zero points come on top, as with a scheme's own bits; null gives all of them the scheme's",
    ),
  when(withText),
);

/** Bits are shared out within a budget. */
export const withBudget = {
  ...setting<{ readonly bitsBudget: number | null }>("", "", ({ bitsBudget }) => bitsBudget !== null),
  text: "--bits-budget",
  action: "give --bits-budget",
};

const allocation = z.strictObject({
  widths: z
    .array(z.literal(WEIGHT_BITS))
    .min(1)
    .nullable()
    .default(null)
    .describe("bits that a Linear may get; null takes all that every format of the run holds"),
  tied: z
    .boolean()
    .default(true)
    .describe(
      "Linears that read the same input get the same bits, q, k and v, gate and up: vLLM makes one Linear of them",
    ),
});

/** How bits are shared out within a budget. */
export const allocationOptions = fragment(allocation.prefault({}), {
  widths: when(withText, withBudget),
  tied: when(withText, withBudget),
});
