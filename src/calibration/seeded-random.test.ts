import { describe, expect, it } from "vitest";
import { randomOrder, SeededRandom } from "./seeded-random.js";

describe("SeededRandom", () => {
  it("gives the numbers of this version forever: a seed in a published result must keep its meaning", () => {
    const random = new SeededRandom(0);
    expect(Array.from({ length: 4 }, () => random.uint32())).toEqual([1628998007, 2135000427, 1701418992, 802932644]);
  });

  it("tells seeds apart that differ in high bits only", () => {
    const first = (seed: number) => new SeededRandom(seed).uint32();
    expect(new Set([0, 1, 2 ** 32, 2 ** 33, 2 ** 52, Number.MAX_SAFE_INTEGER].map(first)).size).toBe(6);
  });

  it("is uniform below a bound", () => {
    const random = new SeededRandom(7);
    const counts = new Array<number>(6).fill(0);
    for (let i = 0; i < 60_000; i++) {
      const value = random.below(6);
      counts[value] = (counts[value] ?? 0) + 1;
    }
    // Standard deviation of each is 91: five of them on both sides.
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(460);
  });

  it("agrees with the reference implementation of xoshiro128** in 64-bit integers", () => {
    const random = new SeededRandom(123456789);
    const reference = referenceXoshiro(123456789n);
    for (let i = 0; i < 1000; i++) expect(BigInt(random.uint32())).toBe(reference());
  });
});

describe("randomOrder", () => {
  it("is a permutation, decided by the seed", () => {
    const order = randomOrder(100, 100, 1);
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(order).toEqual(randomOrder(100, 100, 1));
    expect(order).not.toEqual(randomOrder(100, 100, 2));
  });

  it("begins with every shorter order", () => {
    const order = [...randomOrder(50, 50, 3)];
    for (const count of [0, 1, 17, 49]) expect([...randomOrder(50, count, 3)]).toEqual(order.slice(0, count));
  });
});

/** The algorithm written a second time, from its publication, without the 32-bit tricks of JavaScript. */
function referenceXoshiro(seed: bigint): () => bigint {
  const mask = 0xffffffffn;
  const rotate = (x: bigint, k: bigint) => ((x << k) | (x >> (32n - k))) & mask;
  const split = (start: bigint) => {
    let state = start;
    return () => {
      state = (state + 0x9e3779b9n) & mask;
      let z = ((state ^ (state >> 16n)) * 0x21f0aaadn) & mask;
      z = ((z ^ (z >> 15n)) * 0x735a2d97n) & mask;
      return z ^ (z >> 15n);
    };
  };
  const low = split(seed & mask);
  const high = split((seed >> 32n) ^ 0x5bf03635n);
  let [a, b, c, d] = [low(), high(), low(), high()] as [bigint, bigint, bigint, bigint];
  const next = () => {
    const result = (rotate((b * 5n) & mask, 7n) * 9n) & mask;
    const t = (b << 9n) & mask;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotate(d, 11n);
    return result;
  };
  for (let i = 0; i < 16; i++) next();
  return next;
}
