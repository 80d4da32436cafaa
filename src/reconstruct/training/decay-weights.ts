import type { Parameter, Rates } from "../../quant/parameter.js";
import { noGrad } from "../../tensor/index.js";

/**
 * Takes every parameter a little towards zero, in proportion to its rate at this step: `w -= rate decay w`, beside the step
 * of Adam and not through its moments.
 * Source: AdamW, Loshchilov and Hutter (arXiv 1711.05101), algorithm 2.
 *
 * @param schedule factor of every rate at this step
 */
export function decayWeights(
  parameters: readonly Parameter[],
  { rates, by }: { readonly rates: Rates; readonly by: Rates },
  schedule: number,
): void {
  noGrad(() => {
    for (const { role, tensor, unit = 1 } of parameters) {
      const [rate = 0, decay = 0] = [rates[role], by[role]];
      if (rate * decay > 0) tensor.mul_(1 - rate * unit * decay * schedule);
    }
  });
}
