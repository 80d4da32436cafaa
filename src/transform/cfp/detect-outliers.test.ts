import { describe, expect, it } from "vitest";
import { scope, Tensor } from "../../tensor/index.js";
import { on } from "../../tensor/testing/test-device.js";
import { outlierThreshold } from "./detect-outliers.js";
import { truncateWeights } from "./truncate-weights.js";

// The rule read literally: every split tried, variances computed from scratch.
function byDefinition(values: number[], lambda1 = 1.5, lambda2 = 1, [low, high] = [0.25, 0.75]): number | null {
  const sorted = values.slice().sort((a, b) => a - b);
  const at = (share: number): number => {
    const place = share * (sorted.length - 1);
    const low = Math.floor(place);
    const a = sorted[low] as number;
    return a + (place - low) * ((sorted[Math.min(low + 1, sorted.length - 1)] as number) - a);
  };
  const median = at(0.5);
  const scaled = sorted.map((value) => value / median);
  const t = (at(high) + lambda1 * (at(high) - at(low))) / median;
  const candidates = scaled.filter((value) => value > t);
  if (candidates.length === 0) return null;
  if (candidates.length === 1) return t * median;
  let best = { score: Number.NEGATIVE_INFINITY, threshold: 0 };
  for (let i = 1; i < candidates.length; i++) {
    const reserved = candidates.slice(0, i);
    const mean = reserved.reduce((a, b) => a + b) / i;
    const variance = reserved.reduce((a, b) => a + (b - mean) ** 2, 0) / i;
    const score = ((candidates[i] as number) - (reserved[i - 1] as number)) ** 2 - lambda2 * variance;
    if (score > best.score) best = { score, threshold: (reserved[i - 1] as number) * median };
  }
  return best.threshold;
}

/** Magnitudes with a heavy tail, always the same. */
function heavyTailed(count: number, seed: number): number[] {
  let state = seed;
  const random = (): number => {
    state = (state * 16807) % 2147483647;
    return state / 2147483647;
  };
  return Array.from({ length: count }, () => Math.fround(Math.abs(Math.tan(1.5 * (random() - 0.5)) ** 3)));
}

describe("coarse-to-fine detection", () => {
  it("equals the definition on heavy-tailed magnitudes, whatever their scale", () => {
    for (let round = 0; round < 40; round++) {
      const values = heavyTailed(300, round + 1);
      for (const scale of [1, 2 ** -12]) {
        const scaled = values.map((value) => value * scale);
        const found = scope(() => outlierThreshold(Tensor.from(Float32Array.from(scaled), undefined, on)));
        const expected = byDefinition(scaled);
        expect(found === null).toBe(expected === null);
        if (found !== null && expected !== null) expect(found / expected).toBeCloseTo(1, 5);
      }
    }
  });

  it("separates a cluster from what is reserved, and finds nothing in uniform magnitudes", () => {
    const even = Array.from({ length: 100 }, (_, i) => 1 + i / 100);
    scope(() => {
      expect(outlierThreshold(Tensor.from(Float32Array.from(even), undefined, on))).toBeNull();
      const found = outlierThreshold(Tensor.from(Float32Array.from([...even, 3.4, 3.5, 40, 41, 42]), undefined, on));
      expect(found).toBeCloseTo(3.5, 5);
      const lone = outlierThreshold(Tensor.from(Float32Array.from([...even, 50]), undefined, on));
      expect(lone).toBeGreaterThan(2);
      expect(lone).toBeLessThan(3);
    });
  });

  it("truncates weights per tensor or per row, keeping signs", () => {
    scope(() => {
      const rows = [
        [...Array.from({ length: 30 }, (_, i) => 1 + i / 100), -9, 10],
        Array.from({ length: 32 }, (_, i) => -(1 + i / 100)),
      ];
      const weight = Tensor.from(Float32Array.from(rows.flat()), [2, 32], on);
      const whole = truncateWeights(weight);
      expect(whole.truncated).toBe(1);
      expect(whole.weight.amax().item()).toBe(9);
      expect(whole.weight.amin().item()).toBe(-9);
      const perRow = truncateWeights(weight, { perRow: true });
      expect(perRow.weight.select(0, 1).toArray()).toEqual(weight.select(0, 1).toArray());
    });
  });

  it("truncates each sign by its own threshold and quantiles 0.2 and 0.8 with the rule msmodelslim", () => {
    const values = heavyTailed(512, 11).map((value, i) => (i % 4 === 0 ? -value / 4 : value));
    for (const [i, value] of [0.9, 1, 1.5, 1.6].entries()) {
      values[4 * i] = Math.fround(-value);
      values[4 * i + 1] = Math.fround(3 * value);
    }
    const side = (sign: number): number =>
      byDefinition(values.filter((value) => value * sign > 0).map(Math.abs), 1.5, 1, [0.2, 0.8]) ?? Number.NaN;
    const both = byDefinition(values.map(Math.abs)) ?? Number.NaN;
    scope(() => {
      const weight = Tensor.from(Float32Array.from(values), [8, 64], on);
      const extremes = (detection: "paper" | "msmodelslim"): [number, number] => {
        const truncated = truncateWeights(weight, { detection }).weight;
        return [truncated.amin().item(), truncated.amax().item()];
      };
      const [low, high] = extremes("msmodelslim");
      expect(low / -side(-1)).toBeCloseTo(1, 5);
      expect(high / side(1)).toBeCloseTo(1, 5);
      expect(extremes("paper")[1] / both).toBeCloseTo(1, 5);
      expect(low).toBeGreaterThan(extremes("paper")[0]);
      // Per row, each row has its own; a row without negative weights has no bound below.
      const positive = truncateWeights(weight.abs(), { detection: "msmodelslim", perRow: true }).weight;
      expect(positive.amin().item()).toBeGreaterThan(0);
    });
  });
});
