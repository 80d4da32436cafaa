import { z } from "zod";
import { withText } from "../conditions.js";
import { fragment } from "../fragment.js";
import { setting, when } from "../reading.js";

const experts = z
  .enum(["routed", "all"])
  .default("routed")
  .describe("what experts of a mixture are calibrated on: the tokens that are routed to them, or all tokens");

const routed = setting<{ readonly experts: z.output<typeof experts> }>(
  "experts=routed",
  "experts=routed",
  (options) => options.experts === "routed",
);

/** What the experts of a mixture are calibrated on. */
export const expertsOptions = fragment(experts, when(withText));

/** Up to how many tokens an expert has too few. */
export const expertTokensOptions = fragment(
  z
    .int()
    .min(0)
    .default(128)
    .describe("experts that fewer tokens are routed to get the second moments of all tokens, with a warning"),
  when(withText, routed),
);
