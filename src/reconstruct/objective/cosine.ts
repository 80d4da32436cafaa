/**
 * The factor of every rate at `step` of `steps`, counted from 0: a cosine from 1 down to `final`. Before it, over the first
 * `warmup` of the steps (a fraction, rounded up to whole steps), the factor rises in equal parts and never is 0.
 */
export function cosine(step: number, steps: number, final: number, warmup = 0): number {
  const rising = Math.ceil(steps * warmup);
  if (step < rising) return (step + 1) / (rising + 1);
  return final + (1 - final) * 0.5 * (1 + Math.cos((Math.PI * (step - rising)) / Math.max(1, steps - rising)));
}
