import { z } from "zod";
import { fragment } from "../fragment.js";
import { count, positive } from "../numbers.js";
import { always } from "../reading.js";

const boa = z.strictObject({
  blockV: z
    .boolean()
    .default(true)
    .describe(
      "weigh the values of each head with the attention that mixes them: a matrix of the hidden size for every head of the values",
    ),
  valueRows: z
    .boolean()
    .default(true)
    .describe(
      "weigh the rows of the values by what the output's Linear makes of them; false takes all alike, as released code does",
    ),
  // 53.0 with 1, in more than twice the time, 51.7 with 16, on SmolLM2-135M at W2A16g64 asym.
  rowsAtOnce: count
    .default(16)
    .describe(
      "rows of each head that are rounded before the rows after them make up for it: 16 as in TurboBoA, 1 in the paper; a quarter of the rows of heads that have no more",
    ),
  rowDamping: positive.default(0.01).describe("fraction of the mean diagonal that is added to the factors of the rows"),
});

/** BoA's solver, which sees what queries, keys and values do to attention. */
export const boaOptions = fragment(boa.prefault({}), always);
