import { describe, expect, it } from "vitest";
import { OptionError } from "../errors.js";
import { windowSchedule } from "./schedule.js";

const spans = (blocks: number, size: number, overlap: number): [number, number, number][] =>
  windowSchedule(blocks, size, overlap).map(({ first, last, leaving }) => [first, last, leaving]);

describe("window schedule", () => {
  it("moves by size less overlap, and the last window ends with the last block", () => {
    expect(spans(4, 2, 1)).toEqual([
      [0, 1, 1],
      [1, 2, 1],
      [2, 3, 2],
    ]);
    expect(spans(7, 4, 2)).toEqual([
      [0, 3, 2],
      [2, 5, 1],
      [3, 6, 4],
    ]);
    expect(spans(5, 2, 0)).toEqual([
      [0, 1, 2],
      [2, 3, 1],
      [3, 4, 2],
    ]);
    expect(spans(3, 1, 0)).toHaveLength(3);
  });

  it("is one window where the network is no larger", () => {
    expect(spans(2, 4, 3)).toEqual([[0, 1, 2]]);
  });

  it("lets every block leave once, in order", () => {
    for (let blocks = 1; blocks < 20; blocks++) {
      for (let size = 1; size < 6; size++) {
        for (let overlap = 0; overlap < size; overlap++) {
          const windows = windowSchedule(blocks, size, overlap);
          let next = 0;
          for (const { first, last, leaving } of windows) {
            expect(first).toBe(next);
            expect(leaving).toBeGreaterThan(0);
            next = first + leaving;
            expect(next - 1).toBeLessThanOrEqual(last);
          }
          expect(next).toBe(blocks);
        }
      }
    }
  });

  it("refuses an overlap that leaves no room", () => {
    expect(() => windowSchedule(4, 2, 2)).toThrow(OptionError);
    expect(() => windowSchedule(4, 2, 2)).toThrow(/window\.overlap=1/);
  });
});
