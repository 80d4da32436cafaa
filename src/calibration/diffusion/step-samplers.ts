import { type NoiseSchedule, remainingVariance } from "./noise-schedule.js";
import { cleanOf, type Prediction, type Sampler } from "./sampler.js";
import { chosenSteps, type StepChoice } from "./step-choice.js";

/** A sampler of a network that counts time steps. */
export interface StepSampling {
  readonly schedule: NoiseSchedule;
  readonly steps: number;
  readonly choice: StepChoice;
  readonly prediction: Prediction;
  readonly clip: number | null;
}

/**
 * DDIM: `x' = sqrt(abar') x0 + sqrt(1 - abar' - s^2) e + s z`, where e is the noise that belongs to x and x0, and
 * `s^2 = eta^2 (1 - abar') / (1 - abar) (1 - abar / abar')`; no noise is added with eta 0.
 * Source: Song et al. (arXiv 2010.02502), equations 12 and 16.
 */
export function ddim(sampling: StepSampling, eta: number): Sampler {
  return stepSampler(sampling, (abar, before) => {
    const noise = eta * Math.sqrt(((1 - before) / (1 - abar)) * (1 - abar / before));
    // e = (x - sqrt(abar) x0) / sqrt(1 - abar)
    const direction = Math.sqrt(Math.max(0, 1 - before - noise ** 2) / (1 - abar));
    return { keep: direction, clean: Math.sqrt(before) - direction * Math.sqrt(abar), noise };
  });
}

/**
 * DDPM over the chosen steps: the mean of the posterior, and its variance (`small`) or that of the step's own noise (`large`).
 * Source: Ho et al. (arXiv 2006.11239), equations 6 and 7.
 */
export function ddpm(sampling: StepSampling, variance: "small" | "large"): Sampler {
  return stepSampler(sampling, (abar, before) => {
    const alpha = abar / before;
    const beta = 1 - alpha;
    const posterior = ((1 - before) / (1 - abar)) * beta;
    return {
      keep: (Math.sqrt(alpha) * (1 - before)) / (1 - abar),
      clean: (Math.sqrt(before) * beta) / (1 - abar),
      // Nothing is added behind the last step, whatever the variance.
      noise: before === 1 ? 0 : Math.sqrt(variance === "small" ? posterior : beta),
    };
  });
}

/** What a step makes of x and x0, by what is left of the image's variance here and behind the step. */
type Update = (
  abar: number,
  before: number,
) => { readonly keep: number; readonly clean: number; readonly noise: number };

function stepSampler({ schedule, steps, choice, prediction, clip }: StepSampling, update: Update): Sampler {
  const remaining = remainingVariance(schedule);
  const times = chosenSteps(schedule.trainSteps, steps, choice);
  return {
    start: 1,
    clip,
    steps: times.map((time, i) => {
      const abar = remaining[time] ?? 1;
      const before = remaining[times[i + 1] ?? -1] ?? 1;
      return { time, scale: 1, past: 0, ...cleanOf(prediction, abar), ...update(abar, before) };
    }),
  };
}
