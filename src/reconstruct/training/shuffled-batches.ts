import { SeededRandom } from "../../calibration/seeded-random.js";

/** The calibration sequences in a random order that the seed fixes, cut into batches. */
export function* shuffledBatches(sequences: number, batch: number, seed: number): Generator<number[]> {
  const order = Array.from({ length: sequences }, (_, i) => i);
  const random = new SeededRandom(seed);
  for (let i = order.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [order[i], order[j]] = [order[j] as number, order[i] as number];
  }
  for (let first = 0; first < sequences; first += batch) {
    yield order.slice(first, first + batch);
  }
}
