import { SeededRandom } from "../seeded-random.js";

/**
 * Gaussian noise for images, each with a generator of its own: an image is the same whatever batch it is sampled in, and on
 * every machine.
 */
export class ImageNoise {
  readonly #generators: readonly (() => number)[];

  /**
   * @param seed of all images, an integer from 0 to 2^53 - 1
   * @param images numbers of those that are sampled
   * @param size numbers of an image
   */
  constructor(
    seed: number,
    images: readonly number[],
    private readonly size: number,
  ) {
    this.#generators = images.map((image) => gaussian(new SeededRandom(mixed(seed, image))));
  }

  /** New noise `[images, size]`. */
  next(): Float32Array<ArrayBuffer> {
    const noise = new Float32Array(this.#generators.length * this.size);
    this.#generators.forEach((draw, i) => {
      for (let j = 0; j < this.size; j++) noise[i * this.size + j] = draw();
    });
    return noise;
  }
}

/** Standard normal numbers by the polar method of Box, Muller and Marsaglia; both of a pair are used. */
function gaussian(random: SeededRandom): () => number {
  let second: number | null = null;
  const uniform = (): number => (random.uint32() + 0.5) / 2 ** 31 - 1;
  return () => {
    if (second !== null) {
      const found = second;
      second = null;
      return found;
    }
    for (;;) {
      const [u, v] = [uniform(), uniform()];
      const s = u * u + v * v;
      if (s >= 1 || s === 0) continue;
      const factor = Math.sqrt((-2 * Math.log(s)) / s);
      second = v * factor;
      return u * factor;
    }
  };
}

// Seeds of neighbouring images of neighbouring runs must not meet.
function mixed(seed: number, image: number): number {
  const random = new SeededRandom(seed);
  const [high, low] = [random.uint32() & 0x1fffff, (random.uint32() + Math.imul(image, 0x9e3779b1)) >>> 0];
  return high * 2 ** 32 + low;
}
