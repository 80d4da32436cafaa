import { OptionError } from "../../errors.js";

/** Which of a network's time steps a sampler takes: evenly spread, or the closer the less noise is left. */
export type StepChoice = "linear" | "quadratic";

/** The last step of a quadratic choice lies at this share of all: what DDIM does on CIFAR-10. */
const REACH = 0.8;

/**
 * Time steps in the order of sampling, from the most noise to the least. All differ: where a quadratic choice names a step
 * twice, the second takes the next one.
 * Source: Song et al., "Denoising diffusion implicit models" (arXiv 2010.02502), appendix D.2.
 *
 * @throws OptionError for more steps than the network knows
 */
export function chosenSteps(trainSteps: number, steps: number, choice: StepChoice): number[] {
  if (!Number.isInteger(steps) || steps < 1 || steps > trainSteps) {
    throw new OptionError({
      where: "--steps",
      what: `${steps} steps of a network that knows ${trainSteps}`,
      next: `choose 1 to ${trainSteps}`,
    });
  }
  const root = Math.sqrt(trainSteps * REACH);
  const at = (i: number): number =>
    choice === "linear" ? Math.floor((i * trainSteps) / steps) : Math.floor(((root * i) / Math.max(1, steps - 1)) ** 2);
  const chosen: number[] = [];
  for (let i = 0; i < steps; i++) chosen.push(Math.max(at(i), (chosen.at(-1) ?? -1) + 1));
  // Steps that moved up must not run over the end.
  for (let i = steps - 1; i >= 0; i--) chosen[i] = Math.min(chosen[i] ?? 0, trainSteps - (steps - i));
  return chosen.reverse();
}
