/** Most examples that source, result and round to nearest are compared on. */
const MOST = 128;

/** Examples that are scored, of those that there are beside the ones that are calibrated on. */
export function scoredExamples(available: number, calibrated: number): number {
  return Math.max(0, Math.min(MOST, available - calibrated));
}

/**
 * How many are calibrated on where nobody said how many: those that are wished for, as far as a fifth is left to score; of what a
 * sampler made, so many at least that each of its steps is seen.
 */
export function calibratedExamples(
  { count, least }: { readonly count: number; readonly least?: number },
  wished: number,
): number {
  const spare = count - Math.min(MOST, Math.floor(count / 5));
  return Math.max(least ?? 1, Math.min(wished, spare));
}
