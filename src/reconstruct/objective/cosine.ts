/** The factor of every rate at `step` of `steps`: a cosine from 1 down to `final`. */
export function cosine(step: number, steps: number, final: number): number {
  return final + (1 - final) * 0.5 * (1 + Math.cos((Math.PI * step) / Math.max(1, steps)));
}
