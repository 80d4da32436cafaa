import { describe, expect, it } from "vitest";
import { PlannedWork, RemainingTime } from "./remaining-time.js";

/** Work that advances by `rate(t)` a second, told once a second; returns the estimator and how far it came. */
function worked(
  seconds: number,
  rate: (time: number) => number,
): { readonly left: RemainingTime; readonly done: number } {
  const left = new RemainingTime();
  let done = 0;
  for (let time = 0; time <= seconds; time++) {
    left.update(done, time);
    if (time < seconds) done += rate(time);
  }
  return { left, done };
}

describe("RemainingTime", () => {
  it("knows nothing at first", () => {
    const left = new RemainingTime();
    expect(left.estimate(0)).toBeNull();
    left.update(0, 0);
    left.update(0.01, 1);
    expect(left.estimate(1)).toBeNull();
  });

  it("is exact at a constant rate, and counts down between two samples", () => {
    const { left } = worked(50, () => 0.01);
    expect(left.estimate(50)).toBeCloseTo(50, 6);
    expect(left.estimate(57)).toBeCloseTo(43, 6);
    expect(left.estimate(500)).toBe(0);
  });

  it("forgets a slow start", () => {
    // One minute at a tenth of the speed, then two at full speed: 120 s of history count half each.
    const { left, done } = worked(180, (time) => (time < 60 ? 0.0003 : 0.003));
    expect(left.estimate(180)).toBeCloseTo((1 - done) / 0.003, 4);
    // The mean over all the time would be off by a factor of 1.4.
    expect((180 * (1 - done)) / done).toBeGreaterThan(1.4 * ((1 - done) / 0.003));
  });

  it("hardly moves for one slow step", () => {
    const { left: steady } = worked(100, () => 0.005);
    const { left: disturbed } = worked(100, (time) => (time === 95 ? 0 : 0.005));
    const [expected, actual] = [steady.estimate(100) ?? 0, disturbed.estimate(100) ?? 0];
    expect(Math.abs(actual - expected) / expected).toBeLessThan(0.05);
  });

  it("starts anew for other work", () => {
    const { left } = worked(50, () => 0.01);
    left.restart();
    expect(left.estimate(50)).toBeNull();
    left.update(0, 50);
    left.update(0.1, 60);
    expect(left.estimate(60)).toBeCloseTo(90, 6);
  });

  it("stays right with very many samples", () => {
    const left = new RemainingTime();
    for (let i = 0; i <= 100_000; i++) left.update(i / 200_000, i / 100);
    expect(left.estimate(1000)).toBeCloseTo(1000, 0);
  });
});

describe("PlannedWork", () => {
  it("counts windows and end-to-end epochs by the seconds that are planned for them", () => {
    const work = new PlannedWork([10, 10, 60, 20]);
    expect([0, 1, 2, 3].map((window) => work.fraction(window, 4, 0))).toEqual([0, 0.1, 0.2, 0.8]);
    expect(work.fraction(2, 4, 0.5)).toBeCloseTo(0.5, 12);
    expect(work.fraction(3, 4, 1)).toBe(1);
  });

  it("counts them alike where the plan knows nothing of them", () => {
    expect(new PlannedWork([]).fraction(1, 4, 0.5)).toBe(0.375);
    expect(new PlannedWork([0, 0]).fraction(1, 2, 0.5)).toBe(0.75);
    // A run that continues leaves out a stage that the plan had.
    expect(new PlannedWork([1, 9]).fraction(0, 4, 1)).toBe(0.25);
  });

  it("makes the estimate right where the last stage is slow", () => {
    const work = new PlannedWork([10, 10, 10, 30]);
    const left = new RemainingTime();
    for (let time = 0; time <= 30; time++)
      left.update(work.fraction(Math.min(2, Math.floor(time / 10)), 4, time === 30 ? 1 : (time % 10) / 10), time);
    expect(left.estimate(30)).toBeCloseTo(30, 6);
  });
});
