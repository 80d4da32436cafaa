import { afterEach, describe, expect, it, vi } from "vitest";
import type { ProgressEvent } from "./events.js";
import { pacedProgress } from "./paced-progress.js";

afterEach(() => vi.restoreAllMocks());

describe("progress of many small steps", () => {
  it("is told at first, five times a second, and at the end", () => {
    let now = 0;
    vi.spyOn(performance, "now").mockImplementation(() => now);
    const told: ProgressEvent[] = [];
    const step = pacedProgress((event) => told.push(event), "writing gguf");
    for (let done = 1; done <= 101; done++) {
      step(done, 101);
      now += 10;
    }
    expect(told.map(({ done }) => done)).toEqual([1, 21, 41, 61, 81, 101]);
    expect(told[0]).toEqual({ event: "progress", stage: "writing gguf", done: 1, total: 101 });
  });
});
