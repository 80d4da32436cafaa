import { describe, expect, it } from "vitest";
import { type BitProblem, geneticBits } from "./genetic.js";

const WIDTHS = [2, 4, 8];

/** Layers of unequal size and weight, with pairs whose errors at 2 bits meet. */
function problem(layers: number, budget: number): BitProblem & { readonly sizes: readonly number[] } {
  const sizes = Array.from({ length: layers }, (_, i) => 100 * (1 + ((i * 7) % 5)));
  const weights = Array.from({ length: layers }, (_, i) => 1 + ((i * 11) % 7) ** 2);
  return {
    sizes,
    budget,
    widths: sizes.map(() => WIDTHS),
    cost: (bits) => bits.reduce((sum, width, i) => sum + width * (sizes[i] as number), 0),
    loss: (bits) =>
      bits.reduce((sum, width, i) => {
        const pair = i % 2 === 1 && width === 2 && bits[i - 1] === 2 ? 40 : 0;
        return sum + (weights[i] as number) * 4 ** (2 - width) + pair;
      }, 0),
  };
}

const all = (layers: number): readonly (readonly number[])[] =>
  Array.from({ length: WIDTHS.length ** layers }, (_, n) =>
    Array.from({ length: layers }, (_, i) => WIDTHS[Math.floor(n / WIDTHS.length ** i) % WIDTHS.length] as number),
  );

describe("bits by a genetic search", () => {
  it("are 8 everywhere where the budget allows it", () => {
    const { sizes, ...rest } = problem(20, Number.POSITIVE_INFINITY);
    expect(geneticBits(rest, { seed: 1 })).toEqual(sizes.map(() => 8));
    const total = 8 * sizes.reduce((sum, size) => sum + size, 0);
    expect(geneticBits({ ...rest, budget: total }, { seed: 1 })).toEqual(sizes.map(() => 8));
  });

  it("are none where even the fewest are too many", () => {
    const { sizes, ...rest } = problem(6, 0);
    expect(
      geneticBits({ ...rest, budget: 2 * sizes.reduce((sum, size) => sum + size, 0) - 1 }, { seed: 1 }),
    ).toBeNull();
  });

  it("keep within the budget, whatever it is, and are the same for the same seed", () => {
    const { sizes, ...rest } = problem(24, 0);
    const weights = sizes.reduce((sum, size) => sum + size, 0);
    for (let mean = 2; mean <= 8; mean += 0.37) {
      const given = { ...rest, budget: Math.floor(mean * weights) };
      const bits = geneticBits(given, { seed: 3 }) ?? [];
      expect(bits).toHaveLength(24);
      expect(given.cost(bits)).toBeLessThanOrEqual(given.budget);
      expect(geneticBits(given, { seed: 3 })).toEqual(bits);
      // Better than what all layers can have alike.
      const alike = [8, 4, 2].find((width) => width <= mean) ?? 2;
      expect(given.loss(bits)).toBeLessThanOrEqual(given.loss(sizes.map(() => alike)));
    }
  });

  it("are the best there are in small networks, where pairs of layers at 2 bits lose more than each alone", () => {
    const layers = 8;
    const { sizes, ...rest } = problem(layers, 0);
    const weights = sizes.reduce((sum, size) => sum + size, 0);
    for (const mean of [2.5, 3, 4, 5.5]) {
      const given = { ...rest, budget: Math.floor(mean * weights) };
      const least = Math.min(
        ...all(layers)
          .filter((bits) => given.cost(bits) <= given.budget)
          .map((bits) => given.loss(bits)),
      );
      expect(given.loss(geneticBits(given, { seed: 5 }) ?? [])).toBeCloseTo(least, 6);
    }
  });
});
