/**
 * One step of a sampler as numbers. The network is given `scale * x` and `time`, and predicts p; then
 *
 *     x0 = skip * x + out * p                                 what the image looks like without noise
 *     x' = keep * x + past * before + clean * x0 + noise * z  before: x as it was one step earlier; z: new Gaussian noise
 *
 * What tells DDIM, DDPM, EDM and consistency sampling apart, and networks that predict noise, images or velocities, is these
 * numbers alone: also EDM's preconditioning and its correction are.
 */
export interface SamplerStep {
  /** As the network's time input has it: a number of a step, or a noise level. */
  readonly time: number;
  readonly scale: number;
  readonly skip: number;
  readonly out: number;
  readonly keep: number;
  /** 0 but where a step corrects the one before it. */
  readonly past: number;
  readonly clean: number;
  readonly noise: number;
}

/** A way from noise to images. */
export interface Sampler {
  /** Standard deviation of what it begins with. */
  readonly start: number;
  readonly steps: readonly SamplerStep[];
  /** What every number of x0 is cut to, from minus to plus; null leaves it. */
  readonly clip: number | null;
}

/** What a network predicts: the noise, the image, or `sqrt(abar) noise - sqrt(1 - abar) image` (arXiv 2202.00512). */
export type Prediction = "epsilon" | "sample" | "velocity";

/** `x0 = skip * x + out * p` where x is `sqrt(abar) x0 + sqrt(1 - abar) noise`. */
export function cleanOf(prediction: Prediction, abar: number): Pick<SamplerStep, "skip" | "out"> {
  const [image, noise] = [Math.sqrt(abar), Math.sqrt(1 - abar)];
  switch (prediction) {
    case "epsilon":
      return { skip: 1 / image, out: -noise / image };
    case "sample":
      return { skip: 0, out: 1 };
    case "velocity":
      return { skip: image, out: -noise };
  }
}

/** The distinct numbers that the network's time input gets, as fp32 has them, ascending: the keys of its ranges. */
export function timesOf({ steps }: Sampler): readonly number[] {
  return [...new Set(steps.map(({ time }) => Math.fround(time)))].sort((a, b) => a - b);
}
