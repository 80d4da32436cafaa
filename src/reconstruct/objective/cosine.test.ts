import { describe, expect, it } from "vitest";
import { cosine } from "./cosine.js";

describe("the schedule of the rates", () => {
  it("falls from 1 to the final rate as a cosine", () => {
    const half = 0.1 + 0.9 * 0.5;
    expect([0, 5, 10].map((step) => cosine(step, 10, 0.1))).toEqual([1, expect.closeTo(half, 12), 0.1]);
  });

  it("rises first, in equal parts of whole steps, and falls from 1 behind them", () => {
    // 3 % of 100 steps.
    expect([0, 1, 2, 3].map((step) => cosine(step, 100, 0, 0.03))).toEqual([0.25, 0.5, 0.75, 1]);
    expect(cosine(3 + 97 / 2, 100, 0, 0.03)).toBeCloseTo(0.5, 12);
    expect(cosine(100, 100, 0.05, 0.03)).toBeCloseTo(0.05, 12);
    // A part of a step is a step: 3 % of 10.
    expect([0, 1].map((step) => cosine(step, 10, 0, 0.03))).toEqual([0.5, 1]);
  });

  it("only rises where all of it is warm-up", () => {
    expect([0, 1, 2].map((step) => cosine(step, 3, 0, 1))).toEqual([0.25, 0.5, 0.75]);
  });
});
