import { describe, expect, it } from "vitest";
import { firstDifference } from "./first-difference.js";
import { smallWeight as weight } from "./testing/small-weight.js";

describe("the first difference of two weights", () => {
  it("is none between equals", () => {
    expect(firstDifference({ ...weight, codes: weight.codes.slice() }, weight)).toBeNull();
  });

  it.each([
    [{ codes: weight.codes.with(6, 0) }, "code 0 instead of 14 at row 1, column 2"],
    [{ scales: weight.scales.with(3, -2) }, "scale -2 instead of 2 at row 1, group 1"],
    [{ zeroPoints: weight.zeroPoints.with(1, 3) }, "zero point 3 instead of 2 at row 0, group 1"],
    [{ bits: 5 }, "bits 5 instead of 4"],
    [{ groupSize: 4 }, "groupSize 4 instead of 2"],
  ])("is named with its place: %o", (change, message) => {
    expect(firstDifference({ ...weight, ...change }, weight)).toBe(message);
  });
});
