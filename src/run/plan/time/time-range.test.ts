import { describe, expect, it } from "vitest";
import { timeRange } from "./time-range.js";

describe("timeRange", () => {
  it("lies around the estimate, and reaches down to what a quiet machine would take", () => {
    expect(timeRange(100, 0)).toEqual([85, 120]);
    expect(timeRange(100, 0.5)).toEqual([42.5, 120]);
    // Others never take all of a machine.
    expect(timeRange(100, 1)[0]).toBeCloseTo(34, 6);
  });
});
