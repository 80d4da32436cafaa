import { describe, expect, it } from "vitest";
import { LossCurve, MOST_POINTS } from "./loss-curve.js";

describe("a loss curve", () => {
  it("keeps every step of a short training", () => {
    const curve = new LossCurve();
    for (const [i, loss] of [5, 3, 2].entries()) curve.add({ step: i + 1, steps: 3, loss });
    expect(curve.points).toEqual({ steps: 3, means: [5, 3, 2] });
  });

  it("keeps means of equal spans of a long one, at most 200, the rest at the end", () => {
    const curve = new LossCurve();
    for (let step = 1; step <= 501; step++) curve.add({ step, steps: 501, loss: step });
    const points = curve.points;
    expect(points?.steps).toBe(501);
    expect(points?.means.length).toBe(167);
    expect(points?.means.slice(0, 2)).toEqual([2, 5]);
    expect(points?.means.at(-1)).toBe(500);
    const most = new LossCurve();
    for (let step = 1; step <= 399; step++) most.add({ step, steps: 399, loss: 1 });
    expect(most.points?.means.length).toBe(MOST_POINTS);
  });

  it("keeps the last training of a window that trains twice, and nothing without any", () => {
    const curve = new LossCurve();
    expect(curve.points).toBeNull();
    for (const loss of [9, 8]) curve.add({ step: 10 - loss, steps: 2, loss });
    for (const [i, loss] of [4, 3].entries()) curve.add({ step: i + 1, steps: 2, loss });
    expect(curve.points).toEqual({ steps: 2, means: [4, 3] });
  });
});
