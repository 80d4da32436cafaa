import type { Scheme } from "../../quant/scheme.js";
import type { SharedOptions } from "../options/shared-options.js";

/**
 * Inputs of this many bits or fewer have their outliers folded away: 6.5 points on SmolLM2-135M at W4A4
 * (docs/measurements/ablations.md). A rotation leaves none to fold.
 */
const MOST_FOLDED_BITS = 4;

/** Whether CFP folds outliers of the activations: as the options say, or by default. */
export function foldsActivations(
  { cfp, rotation }: Pick<SharedOptions, "cfp" | "rotation">,
  { activationBits }: Scheme,
): boolean {
  return cfp.activations ?? (activationBits <= MOST_FOLDED_BITS && rotation !== "hadamard");
}
