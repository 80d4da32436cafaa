import { describe, expect, it } from "vitest";
import { manualSeed, noGrad, scope, Tensor } from "../../tensor/index.js";
import { OutputDivergence } from "./output-divergence.js";
import { fewPairs, mostPairs, pairedBits, pairedPointer } from "./paired-pointer.js";

describe("bits by salience", () => {
  it("are a bit less for the least groups and a bit more for the most", () => {
    expect(pairedBits([1, 2, 3, 4, 5, 6, 7, 8], 2, 2)).toEqual([1, 1, 2, 2, 2, 2, 3, 3]);
    expect(pairedBits([5, 1, 9, 3], 3, 1)).toEqual([3, 2, 4, 3]);
    expect(pairedBits([5, 1, 9, 3], 3, 0)).toEqual([3, 3, 3, 3]);
  });

  it("have exactly the mean that was asked for, whatever the score", () => {
    for (const groups of [1, 2, 3, 4, 5, 8, 9, 24]) {
      const salience = Array.from({ length: groups }, (_, i) => (i * 7) % groups);
      for (const wanted of [0, 1, mostPairs(groups)]) {
        const bits = pairedPointer(salience, 2, (candidate) => {
          const pairs = candidate.filter((each) => each === 3).length;
          return Math.abs(pairs - wanted);
        });
        expect(bits.reduce((sum, each) => sum + each, 0)).toBe(2 * groups);
        expect(bits.filter((each) => each === 3).length).toBe(Math.min(wanted, mostPairs(groups)));
      }
    }
  });

  it("try as many pairs as leave two groups their bits, and none of fewer than four groups", () => {
    expect([1, 2, 3, 4, 5, 8, 9, 24].map(mostPairs)).toEqual([0, 0, 0, 1, 1, 3, 3, 11]);
  });

  it("try few numbers of pairs where scores take long, none twice and none among them", () => {
    expect(fewPairs(9)).toEqual([0, 1, 2, 3]);
    expect(fewPairs(86)).toEqual([0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32]);
    expect(fewPairs(3)).toEqual([0]);
    const tried: number[] = [];
    const salience = Array.from({ length: 24 }, (_, i) => i);
    const score = (bits: readonly number[]): number => {
      tried.push(bits.filter((each) => each === 3).length);
      return -tried.length;
    };
    pairedPointer(salience, 2, score, fewPairs(24));
    expect(tried).toEqual(fewPairs(24));
  });
});

describe("what an output loses with bits of groups", () => {
  const scheme = { bits: 2, groupSize: 16, symmetric: false, activationBits: 16 } as const;

  /** Groups of columns that differ in size by a factor of six. */
  function layer(): { readonly weight: Tensor; readonly inputs: Tensor } {
    manualSeed(4);
    const sizes = Tensor.from(Float32Array.from({ length: 128 }, (_, i) => 1.3 ** ((((i >> 4) * 3) % 8) - 4)));
    return { weight: Tensor.randn([12, 128]).mul(0.2), inputs: Tensor.randn([40, 128]).mul(sizes) };
  }

  it("is nothing with 16 bits, less with more, and the same however it was reached", () => {
    noGrad(() =>
      scope(() => {
        const { weight, inputs } = layer();
        using one = new OutputDivergence(weight, inputs, scheme, 16);
        using other = new OutputDivergence(weight, inputs, scheme, 16);
        const all = (bits: number): number[] => new Array<number>(8).fill(bits);
        expect(one.of(all(16))).toBeCloseTo(0, 6);
        const [two, three, four] = [2, 3, 4].map((bits) => one.of(all(bits))) as [number, number, number];
        expect(two).toBeGreaterThan(three);
        expect(three).toBeGreaterThan(four);
        expect(other.of([1, 1, 2, 2, 2, 2, 3, 3])).not.toBeCloseTo(two, 3);
        expect(other.of(all(2))).toBeCloseTo(two, 4);
      }),
    );
  });

  it("is within 1 % of that of the best of all allocations by pairs", () => {
    noGrad(() =>
      scope(() => {
        const { weight, inputs } = layer();
        using divergence = new OutputDivergence(weight, inputs, scheme, 16);
        const salience = Array.from({ length: 8 }, (_, group) =>
          scope(() => {
            const columns = [group * 16, 16] as const;
            const squares = inputs
              .narrow(1, ...columns)
              .square()
              .sum(0);
            return weight
              .narrow(1, ...columns)
              .square()
              .mul(squares)
              .sum()
              .item();
          }),
        );
        const found = divergence.of(pairedPointer(salience, 2, (bits) => divergence.of(bits)));
        let best = Number.POSITIVE_INFINITY;
        // Every way to give as many groups a bit more as others a bit less.
        for (let code = 0; code < 3 ** 8; code++) {
          const bits = Array.from({ length: 8 }, (_, i) => 1 + (Math.floor(code / 3 ** i) % 3));
          if (bits.reduce((sum, each) => sum + each, 0) !== 16) continue;
          best = Math.min(best, divergence.of(bits));
        }
        expect(found).toBeLessThanOrEqual(best * 1.01);
        expect(found).toBeLessThan(divergence.of(new Array<number>(8).fill(2)));
      }),
    );
  });
});
