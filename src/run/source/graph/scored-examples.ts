/** Most examples that source, result and round to nearest are compared on. */
const MOST = 128;

/** Examples that are scored, of those that there are beside the ones that are calibrated on. */
export function scoredExamples(available: number, calibrated: number): number {
  return Math.max(0, Math.min(MOST, available - calibrated));
}

/** How many are calibrated on where nobody said how many: those that are wished for, as far as a fifth is left to score. */
export function calibratedExamples(available: number, wished: number): number {
  return Math.max(1, Math.min(wished, available - Math.min(MOST, Math.floor(available / 5))));
}
