import { isOutOfMemory } from "../tensor/index.js";

/**
 * How many sequences are on the device at once. Where memory runs out the number halves for good, and
 * what failed is done again: results do not depend on it but for the rounding of sums.
 */
export class SequenceParts {
  #size: number;

  /** @param onSmaller told the new number whenever it halves */
  constructor(
    size: number,
    private readonly onSmaller: (size: number) => void,
  ) {
    this.#size = size;
  }

  get size(): number {
    return this.#size;
  }

  /**
   * Runs `work`, again in smaller parts when memory runs out: it must start over each time.
   *
   * @throws TensorError when memory runs out with a single sequence
   */
  attempt<T>(work: () => T): T {
    for (;;) {
      try {
        return work();
      } catch (error) {
        if (!isOutOfMemory(error) || this.#size === 1) throw error;
        this.#size = Math.ceil(this.#size / 2);
        this.onSmaller(this.#size);
      }
    }
  }

  /** Runs `work` on all of 0 to `sequences - 1`, part by part; a part that fails must have had no effect. */
  each(sequences: number, work: (part: readonly number[]) => void): void {
    for (let first = 0; first < sequences; ) {
      first += this.attempt(() => {
        const part = Array.from({ length: Math.min(this.#size, sequences - first) }, (_, i) => first + i);
        work(part);
        return part.length;
      });
    }
  }
}
