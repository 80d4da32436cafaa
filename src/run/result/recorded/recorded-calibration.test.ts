import { expect, it } from "vitest";
import { recordedCalibration } from "./recorded-calibration.js";

it("reads records of both schemas: the first called sequences windows, the earliest named no source", () => {
  const now = { source: "bundled", tokens: 9000, sequences: 24, context: 512 };
  expect(recordedCalibration.parse(now)).toEqual(now);
  expect(recordedCalibration.parse({ source: "bundled", tokens: 9000, windows: 24, context: 512 })).toEqual(now);
  expect(recordedCalibration.parse({ ...now, windows: 7 }).sequences).toBe(24);
  expect(recordedCalibration.parse({ tokens: 9000, windows: 24, context: 512 })).toEqual({ ...now, source: "files" });
  for (const other of [null, 3, {}, { tokens: 1, context: 2 }]) {
    expect(recordedCalibration.safeParse(other).success).toBe(false);
  }
});
