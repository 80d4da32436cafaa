import { describe, expect, it } from "vitest";
import { scope, Tensor } from "../../tensor/index.js";
import { on } from "../../tensor/testing/test-device.js";
import { outlierThreshold } from "./detect-outliers.js";
import { truncateWeights } from "./truncate-weights.js";

// The rule read literally: every split tried, variances computed from scratch.
function byDefinition(values: number[], lambda1 = 1.5, lambda2 = 1): number | null {
  const sorted = values.slice().sort((a, b) => a - b);
  const at = (share: number): number => {
    const place = share * (sorted.length - 1);
    const low = Math.floor(place);
    const a = sorted[low] as number;
    return a + (place - low) * ((sorted[Math.min(low + 1, sorted.length - 1)] as number) - a);
  };
  const median = at(0.5);
  const scaled = sorted.map((value) => value / median);
  const t = (at(0.75) + lambda1 * (at(0.75) - at(0.25))) / median;
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

describe("coarse-to-fine detection", () => {
  it("equals the definition on heavy-tailed magnitudes, whatever their scale", () => {
    let seed = 1;
    const random = (): number => {
      seed = (seed * 16807) % 2147483647;
      return seed / 2147483647;
    };
    for (let round = 0; round < 40; round++) {
      const values = Array.from({ length: 300 }, () => Math.fround(Math.abs(Math.tan(1.5 * (random() - 0.5)) ** 3)));
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
});
