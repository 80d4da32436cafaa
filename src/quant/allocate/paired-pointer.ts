/** Bits of every group of columns. */
export type GroupBits = readonly number[];

/**
 * Salience-determined bit allocation: the `i` groups of most salience get a bit more, the `i` of least a bit less, so that
 * the mean stays exactly `bits`, and of all `i` the one whose output diverges least is taken. `i = 0` is among them: fewer
 * than four groups leave no other.
 * Source: SliM-LLM (arXiv 2405.14917), section 3.2 and algorithm 1, which moves one pointer from each end of the sorted groups.
 *
 * @param salience of every group
 * @param scoreOf what the output loses with these bits
 * @param pairsTried numbers of pairs, where not all are tried
 */
export function pairedPointer(
  salience: readonly number[],
  bits: number,
  scoreOf: (bits: GroupBits) => number,
  pairsTried: readonly number[] = Array.from({ length: mostPairs(salience.length) + 1 }, (_, pairs) => pairs),
): GroupBits {
  let best: { bits: GroupBits; score: number } | null = null;
  for (const pairs of pairsTried) {
    const candidate = pairedBits(salience, bits, pairs);
    const score = scoreOf(candidate);
    if (best === null || score < best.score) best = { bits: candidate, score };
  }
  return best?.bits ?? [];
}

/** The paper's bound: some groups keep `bits`. */
export function mostPairs(groups: number): number {
  return Math.max(0, Math.floor(groups / 2) - 1);
}

/** Few of the numbers of pairs, close together where there are few pairs: 0, 1, 2, 3, 4, 6, 8, 12, 16 and so on, for scores that take long. */
export function fewPairs(groups: number): readonly number[] {
  const steps = [0, 1, ...Array.from({ length: 12 }, (_, i) => [2 << i, 3 << i]).flat()];
  return steps.filter((pairs) => pairs <= mostPairs(groups));
}

/** A bit more for the `pairs` groups of most salience, and less for as many of least; of equals the later one counts as more. */
export function pairedBits(salience: readonly number[], bits: number, pairs: number): GroupBits {
  const order = salience.map((_, i) => i).sort((a, b) => (salience[a] ?? 0) - (salience[b] ?? 0) || a - b);
  const found = new Array<number>(salience.length).fill(bits);
  for (const group of order.slice(0, pairs)) found[group] = bits - 1;
  for (const group of pairs === 0 ? [] : order.slice(-pairs)) found[group] = bits + 1;
  return found;
}
