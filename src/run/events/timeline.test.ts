import { describe, expect, it } from "vitest";
import type { QuantizeEvent } from "./events.js";
import { Timeline } from "./timeline.js";

const start = Date.parse("2026-01-01T10:00:00.000Z");
const at = (seconds: number): number => start + seconds * 1000;
const iso = (seconds: number): string => new Date(at(seconds)).toISOString();
const window = (index: number): QuantizeEvent => ({
  event: "window-start",
  window: index,
  windows: 3,
  blocks: [0, 1],
  trainable: 1,
});
const progress = (stage: string): QuantizeEvent => ({ event: "progress", stage, done: 0, total: 1 });

describe("a timeline", () => {
  it("has a stage from its first event to the next stage's, and the last one up to now", () => {
    const timeline = new Timeline(at(0));
    timeline.observe(progress("checking weights"), at(2));
    timeline.begin(2);
    timeline.observe(window(0), at(5));
    timeline.observe(progress("finishing block 1"), at(9));
    timeline.observe(window(1), at(10));
    timeline.observe(window(2), at(15));
    timeline.observe({ event: "exporting", format: "gguf", path: "a" }, at(20));
    expect(timeline.stages([], at(21.5))).toEqual([
      { stage: "planning", start: iso(0), seconds: 2 },
      { stage: "checking weights", start: iso(2), seconds: 3 },
      { stage: "windows", start: iso(5), seconds: 10 },
      { stage: "end-to-end", start: iso(15), seconds: 5 },
      { stage: "writing gguf", start: iso(20), seconds: 1.5 },
    ]);
  });

  it("tells a training of the whole model from the windows behind it, in earlier processes too", () => {
    const timeline = new Timeline(at(1000));
    timeline.begin(1, 2);
    timeline.observe(progress("preparing the model to train"), at(1001));
    timeline.observe(window(1), at(1002));
    timeline.observe(window(2), at(1008));
    timeline.observe(window(3), at(1010));
    const stages = timeline.stages([{ start: iso(0), seconds: 5 }], at(1011));
    expect(stages.map(({ stage, seconds }) => [stage, seconds])).toEqual([
      ["training", 5],
      ["planning", 1],
      ["training", 7],
      ["windows", 2],
      ["end-to-end", 1],
    ]);
  });

  it("puts windows of earlier processes first: one stage for each stretch, none where no time was recorded", () => {
    const timeline = new Timeline(at(1000));
    timeline.begin(3);
    const earlier = [
      { start: null, seconds: 7 },
      { start: iso(10), seconds: 5 },
      { start: iso(16), seconds: 4 },
      { start: iso(500), seconds: 3 },
    ];
    expect(timeline.stages(earlier, at(1001))).toEqual([
      { stage: "windows", start: iso(10), seconds: 10 },
      { stage: "end-to-end", start: iso(500), seconds: 3 },
      { stage: "planning", start: iso(1000), seconds: 1 },
    ]);
  });
});
