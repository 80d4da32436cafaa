import type { Sampler, SamplerStep } from "./sampler.js";

/** Noise levels that a sampler passes. */
export interface SigmaSchedule {
  readonly steps: number;
  readonly sigmaMin: number;
  readonly sigmaMax: number;
  /** How much closer levels lie where little noise is left; 1 spreads them evenly. */
  readonly rho: number;
}

/** Those of Karras et al. (arXiv 2206.00364), table 1. */
export const edmSchedule: Omit<SigmaSchedule, "steps"> = { sigmaMin: 0.002, sigmaMax: 80, rho: 7 };

/**
 * Falling noise levels `(smax^(1/rho) + i / (n - 1) (smin^(1/rho) - smax^(1/rho)))^rho`.
 * Source: arXiv 2206.00364, equation 5; consistency models take the same (arXiv 2303.01469, section 5).
 */
export function noiseLevels({ steps, sigmaMin, sigmaMax, rho }: SigmaSchedule): number[] {
  const [low, high] = [sigmaMin ** (1 / rho), sigmaMax ** (1 / rho)];
  return Array.from({ length: steps }, (_, i) => (high + (i / Math.max(1, steps - 1)) * (low - high)) ** rho);
}

/** What a network around noise levels is given and gives. */
export interface Preconditioning {
  /** Its time input: the noise level itself, or `log(sigma) / 4`. */
  readonly time: "sigma" | "log-sigma";
  /**
   * `inside`: the network takes x as it is and gives x0, its preconditioning is part of it. Else the standard deviation of its
   * data: it takes `c_in x`, and `x0 = c_skip x + c_out F`.
   */
  readonly data: "inside" | number;
}

/** Source: arXiv 2206.00364, table 1, last column. */
export function preconditioned(
  sigma: number,
  { time, data }: Preconditioning,
): Pick<SamplerStep, "time" | "scale" | "skip" | "out"> {
  const at = time === "sigma" ? sigma : Math.log(sigma) / 4;
  if (data === "inside") return { time: at, scale: 1, skip: 0, out: 1 };
  const sum = sigma ** 2 + data ** 2;
  return { time: at, scale: 1 / Math.sqrt(sum), skip: data ** 2 / sum, out: (sigma * data) / Math.sqrt(sum) };
}

/** What follows a step along the slope at its start: nothing (Euler), or one along the mean of both ends' slopes in its place (Heun). */
export type Correction = "none" | "heun";

/**
 * Steps along `dx / dsigma = (x - x0) / sigma`, which end without noise. Those that Heun corrects look at the network twice, at the noise
 * levels that the others look at, so that `n` levels are `2 n - 1` steps; the last one ends where there is no slope, and stays.
 * Source: arXiv 2206.00364, algorithm 1: its correction, but not its churn.
 */
export function edm(
  schedule: SigmaSchedule,
  network: Preconditioning,
  { clip, correction }: { readonly clip: number | null; readonly correction: Correction },
): Sampler {
  const levels = noiseLevels(schedule);
  return {
    start: schedule.sigmaMax,
    clip,
    steps: levels.flatMap((sigma, i) => {
      const next = levels[i + 1] ?? 0;
      const left = next / sigma;
      const step: SamplerStep = { ...preconditioned(sigma, network), keep: left, past: 0, clean: 1 - left, noise: 0 };
      if (correction === "none" || next === 0) return [step];
      // Of x behind the step: before + (x - before) / 2 + (next - sigma) / 2 times the slope there.
      const half = (next - sigma) / (2 * next);
      return [step, { ...preconditioned(next, network), keep: 0.5 + half, past: 0.5, clean: -half, noise: 0 }];
    }),
  };
}

/**
 * Consistency sampling: each step gives an image, to which noise of the next lower level is added.
 * Source: Song et al., "Consistency models" (arXiv 2303.01469), algorithm 1.
 */
export function consistency(schedule: SigmaSchedule, network: Preconditioning, clip: number | null): Sampler {
  const levels = noiseLevels(schedule);
  return {
    start: schedule.sigmaMax,
    clip,
    steps: levels.map((sigma, i) => {
      const next = levels[i + 1];
      const noise = next === undefined ? 0 : Math.sqrt(Math.max(0, next ** 2 - schedule.sigmaMin ** 2));
      return { ...preconditioned(sigma, network), keep: 0, past: 0, clean: 1, noise };
    }),
  };
}
