import { expect, it } from "vitest";
import { calibratedExamples, scoredExamples } from "./scored-examples.js";

it.each([
  // As many as are wished for, and no more than leave a fifth to score.
  [{ count: 1000 }, 128, 128, 128],
  [{ count: 100 }, 128, 80, 20],
  [{ count: 1 }, 128, 1, 0],
  // Of a sampler's run each step at least.
  [{ count: 800, least: 50 }, 128, 128, 128],
  [{ count: 3200, least: 200 }, 128, 200, 128],
  [{ count: 50, least: 50 }, 128, 50, 0],
  [{ count: 20, least: 5 }, 128, 16, 4],
])("of %j, where %i are wished for, %i calibrate and %i are scored", (source, wished, calibrated, scored) => {
  expect(calibratedExamples(source, wished)).toBe(calibrated);
  expect(scoredExamples(source.count, calibrated)).toBe(scored);
});
