import { describe, expect, it } from "vitest";
import { allocate, type Choice } from "./multiplier.js";

/** Numbers in (0, 1) that look random and are the same each time. */
function* numbers(seed: number): Generator<number, never> {
  for (let x = seed; ; ) {
    x = (x * 1103515245 + 12345) % 2 ** 31;
    yield (x + 1) / (2 ** 31 + 1);
  }
}

function totals(items: readonly (readonly Choice[])[], chosen: readonly number[]): Choice {
  return items.reduce(
    (sum, choices, i) => {
      const { cost, loss } = choices[chosen[i] as number] as Choice;
      return { cost: sum.cost + cost, loss: sum.loss + loss };
    },
    { cost: 0, loss: 0 },
  );
}

function bruteForce(items: readonly (readonly Choice[])[], budget: number): number {
  let best = Number.POSITIVE_INFINITY;
  const visit = (i: number, cost: number, loss: number): void => {
    if (cost > budget) return;
    if (i === items.length) best = Math.min(best, loss);
    else for (const choice of items[i] as readonly Choice[]) visit(i + 1, cost + choice.cost, loss + choice.loss);
  };
  visit(0, 0, 0);
  return best;
}

const widths = [2, 3, 4, 6];

describe("allocate", () => {
  it("gives the bits to what loses most without them", () => {
    // 100 weights each; a bit more takes three quarters of the loss.
    const items = [8, 1, 4].map((scale) => widths.map((bits) => ({ cost: 100 * bits, loss: scale * 4 ** (2 - bits) })));
    expect(allocate(items, 900)).toEqual([2, 0, 1]);
    expect(allocate(items, 800)).toEqual([1, 0, 1]);
    expect(allocate(items, 700)).toEqual([1, 0, 0]);
    expect(allocate(items, 600)).toEqual([0, 0, 0]);
    expect(allocate(items, 599)).toBeNull();
    expect(allocate(items, 1e9)).toEqual([3, 3, 3]);
  });

  it("takes the cheaper of choices that lose the same, and nothing that loses more for more", () => {
    const items = [
      [
        { cost: 20, loss: 1 },
        { cost: 30, loss: 1 },
        { cost: 40, loss: 2 },
      ],
    ];
    expect(allocate(items, 100)).toEqual([0]);
  });

  it("is exact and never above the budget, against all combinations", () => {
    const random = numbers(7);
    for (let trial = 0; trial < 200; trial++) {
      const items = Array.from({ length: 6 }, () => {
        const weights = 1 + Math.floor(random.next().value * 40);
        const scale = random.next().value ** 3;
        // Neither convex nor always falling.
        return widths.map((bits) => ({ cost: weights * bits, loss: scale * 4 ** -bits * (0.3 + random.next().value) }));
      });
      const least = totals(
        items,
        items.map(() => 0),
      ).cost;
      const budget = Math.floor(least * (1 + 1.5 * random.next().value));
      const chosen = allocate(items, budget);
      if (chosen === null) throw new Error("the cheapest choices are within the budget");
      const { cost, loss } = totals(items, chosen);
      expect(cost).toBeLessThanOrEqual(budget);
      expect(loss).toBeCloseTo(bruteForce(items, budget), 12);
    }
  });

  it("spends what the budget has on a whole network's worth of items, in the multiplier's order", () => {
    const random = numbers(3);
    const items = Array.from({ length: 320 }, (_, i) => {
      const weights = [48, 16, 86, 43][i % 4] as number;
      const scale = 10 ** (3 * random.next().value);
      return [2, 3, 4, 5, 6, 8].map((bits) => ({ cost: weights * bits, loss: weights * scale * 4 ** -bits }));
    });
    const budget = Math.floor(
      (totals(
        items,
        items.map(() => 0),
      ).cost /
        2) *
        3,
    );
    const chosen = allocate(items, budget);
    if (chosen === null) throw new Error("three bits are more than two");
    const { cost } = totals(items, chosen);
    expect(cost).toBeLessThanOrEqual(budget);
    expect(budget - cost).toBeLessThan(16);
  });
});
