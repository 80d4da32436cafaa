import { describe, expect, it } from "vitest";
import { gridOf, gridOfHistogram } from "./histogram-grid.js";

function histogram(values: readonly number[], low: number, high: number, bins = 512): Float64Array {
  const counts = new Float64Array(bins);
  for (const value of values) {
    const bin = Math.min(bins - 1, Math.floor(((value - low) / (high - low)) * bins));
    counts[bin] = (counts[bin] as number) + 1;
  }
  return counts;
}

const even = (low: number, high: number): number[] =>
  Array.from({ length: 2000 }, (_, i) => low + ((i + 0.5) / 2000) * (high - low));

describe("the grid of a tensor by its histogram", () => {
  it("covers numbers that lie evenly, with zero on it", () => {
    const { scale, zeroPoint } = gridOfHistogram({ low: -1, high: 2, counts: histogram(even(-1, 2), -1, 2) }, 4);
    expect(zeroPoint).toBe(5);
    expect(scale).toBeGreaterThan(0.18);
    expect(scale).toBeLessThan(0.21);
  });

  it("cuts off one number far from a thousand others, less of it with a higher power", () => {
    const values = [...even(0, 1), 10];
    const counts = histogram(values, 0, 10);
    const squared = gridOfHistogram({ low: 0, high: 10, counts }, 4);
    const higher = gridOfHistogram({ low: 0, high: 10, counts }, 4, 4);
    expect(squared.zeroPoint).toBe(0);
    expect(squared.scale * 15).toBeLessThan(8);
    expect(higher.scale).toBeGreaterThan(squared.scale);
  });

  it.each([
    ["positive", 0.5, 2, 0],
    ["negative", -2, -0.5, 255],
  ])("holds zero where all numbers are %s", (_, low, high, zeroPoint) => {
    const grid = gridOf(low, high, 8);
    expect(grid.zeroPoint).toBe(zeroPoint);
    expect(grid.scale * 255).toBeCloseTo(2, 5);
  });

  it("is no division by zero where all numbers are zero", () => {
    expect(gridOfHistogram({ low: 0, high: 0, counts: new Float64Array(8) }, 8)).toEqual({
      scale: Math.fround(1e-6 / 255),
      zeroPoint: 0,
    });
  });
});
