/** Deterministic orders of the calibration sequences: one permutation per epoch, cut into batches. */
export function* shuffledBatches(sequences: number, batch: number, seed: number): Generator<number[]> {
  const order = Array.from({ length: sequences }, (_, i) => i);
  const random = mulberry32(seed);
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j] as number, order[i] as number];
  }
  for (let first = 0; first < sequences; first += batch) {
    yield order.slice(first, first + batch);
  }
}

// Tommy Ettinger's mulberry32: a 32-bit state is plenty for shuffling.
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
