/**
 * Random numbers of our own, so that a seed chooses the same sequences on every machine and in every version of Node:
 * xoshiro128** (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021), whose state is filled
 * from the seed with splitmix32.
 */
export class SeededRandom {
  readonly #state: Uint32Array;

  /** @param seed an integer from 0 to 2^53 - 1; all its bits count. */
  constructor(seed: number) {
    const low = splitmix32(seed >>> 0);
    const high = splitmix32(Math.floor(seed / 2 ** 32) ^ 0x5bf03635);
    this.#state = Uint32Array.of(low(), high(), low(), high());
    // The first number comes from one word of the state, so from half of the seed: 16 steps mix the halves.
    for (let i = 0; i < 16; i++) this.uint32();
  }

  /** A uniform integer from 0 to 2^32 - 1. */
  uint32(): number {
    const state = this.#state;
    const [s0 = 0, s1 = 0, s2 = 0, s3 = 0] = state;
    const result = Math.imul(rotateLeft(Math.imul(s1, 5), 7), 9) >>> 0;
    const x2 = s2 ^ s0;
    const x3 = s3 ^ s1;
    state[0] = s0 ^ x3;
    state[1] = s1 ^ x2;
    state[2] = x2 ^ (s1 << 9);
    state[3] = rotateLeft(x3, 11);
    return result;
  }

  /** A uniform integer from 0 to `bound - 1`; `bound` at most 2^32. Rejection keeps it free of bias. */
  below(bound: number): number {
    const limit = 2 ** 32 - (2 ** 32 % bound);
    for (;;) {
      const value = this.uint32();
      if (value < limit) return value % bound;
    }
  }
}

/**
 * The first `count` entries of a random order of 0..length-1, all different. Less of the same order when `count` is
 * smaller: an order begins with every shorter one of the same length and seed.
 */
export function randomOrder(length: number, count: number, seed: number): Uint32Array {
  const random = new SeededRandom(seed);
  const order = Uint32Array.from({ length }, (_, i) => i);
  for (let i = 0; i < count; i++) {
    const j = i + random.below(length - i);
    const chosen = order[j] ?? 0;
    order[j] = order[i] ?? 0;
    order[i] = chosen;
  }
  return order.slice(0, count);
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

function splitmix32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
}
