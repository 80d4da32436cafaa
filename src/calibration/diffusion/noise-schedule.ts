/** How much noise a network that counts time steps was trained with. */
export interface NoiseSchedule {
  /** Of `beta_t`, the variance of the noise that step t adds: `linear` (DDPM), linear in the square root (`scaled-linear`, latent diffusion), or that of a `cosine`. */
  readonly kind: "linear" | "scaled-linear" | "cosine";
  /** Steps that the network knows, 0 to `trainSteps - 1`. */
  readonly trainSteps: number;
  /** Of the first and the last step; a cosine does not read them. */
  readonly betaStart: number;
  readonly betaEnd: number;
}

/** That of Ho et al., "Denoising diffusion probabilistic models" (arXiv 2006.11239), section 4. */
export const ddpmSchedule: NoiseSchedule = { kind: "linear", trainSteps: 1000, betaStart: 1e-4, betaEnd: 0.02 };

/** What a cosine is shifted by, so that the first betas are not too small: section 3.2 of arXiv 2102.09672. */
const OFFSET = 0.008;
const MOST_BETA = 0.999;

/**
 * What is left of the variance of an image at each step, `alpha-bar_t = product of (1 - beta_s) over s <= t`, in double
 * precision. Source: arXiv 2006.11239, section 2; the cosine: arXiv 2102.09672, equation 17.
 */
export function remainingVariance({ kind, trainSteps, betaStart, betaEnd }: NoiseSchedule): Float64Array {
  const remaining = new Float64Array(trainSteps);
  const between = (from: number, to: number, t: number): number =>
    from + ((to - from) * t) / Math.max(1, trainSteps - 1);
  const curve = (t: number): number => Math.cos(((t / trainSteps + OFFSET) / (1 + OFFSET)) * (Math.PI / 2)) ** 2;
  const betas: Readonly<Record<NoiseSchedule["kind"], (t: number) => number>> = {
    linear: (t) => between(betaStart, betaEnd, t),
    "scaled-linear": (t) => between(Math.sqrt(betaStart), Math.sqrt(betaEnd), t) ** 2,
    cosine: (t) => Math.min(MOST_BETA, 1 - curve(t + 1) / curve(t)),
  };
  let product = 1;
  for (let t = 0; t < trainSteps; t++) {
    product *= 1 - betas[kind](t);
    remaining[t] = product;
  }
  return remaining;
}
