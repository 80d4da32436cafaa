import { describe, expect, it } from "vitest";
import type { ExportEvent, PlanEvent, QuantizeEvent, StepEvent } from "../../run/events/events.js";
import { ProgressTracker } from "./progress-tracker.js";

const plan: PlanEvent = {
  event: "plan",
  model: "llama",
  scheme: "W2A16g64",
  symmetric: true,
  recipe: "cbq",
  preset: "default",
  out: "out",
  exports: [{ format: "compressed-tensors", path: "out", bytes: 100 }],
  device: "cpu",
  blocks: 3,
  bitsBudget: null,
  effort: null,
  windows: [
    [0, 1],
    [1, 2],
  ],
  windowSeconds: [40, 40],
  stageSeconds: { before: 10, scoring: 4, texts: 2, writing: 4 },
  linears: 21,
  protected: [],
  tensors: { quantized: 21, computed: 9, leftOut: [] },
  weights: 1000,
  bitsPerWeight: 2.25,
  trainedParameters: 500,
  calibrationTokens: 4096,
  text: null,
  selfGenerated: null,
  estimate: { deviceBytes: 1, hostBytes: 1, diskBytes: 1, resultBytes: 1, seconds: 100, range: [85, 120], load: 0 },
  simulatedActivations: null,
};
const step = (window: number, done: number): StepEvent => ({
  event: "step",
  window,
  windows: 2,
  epoch: Math.floor((done - 1) / 5),
  epochs: 2,
  step: done,
  steps: 10,
  loss: 1 / done,
  tokensPerSecond: 100,
});
const windowStart = (window: number): QuantizeEvent => ({
  event: "window-start",
  window,
  windows: 2,
  blocks: [window, window + 1],
  trainable: 250,
});
const windowDone = (window: number): QuantizeEvent => ({
  event: "window-done",
  window,
  windows: 2,
  blocks: [window, window + 1],
  lossBefore: null,
  lossAfter: null,
  layers: [],
  seconds: 10,
});

describe("ProgressTracker", () => {
  it("follows a run from the plan to the files", () => {
    const tracker = new ProgressTracker(1000);
    const at = (seconds: number, event: QuantizeEvent) => {
      tracker.apply(event, 1000 + seconds);
      return tracker.state(1000 + seconds, 7);
    };
    expect(at(0, plan)).toMatchObject({ title: "W2A16g64 by cbq on cpu", place: null, remainingSeconds: 100 });
    expect(at(5, { event: "progress", stage: "reading weights", done: 1, total: 4 })).toMatchObject({
      stage: { name: "reading weights", done: 1, total: 4 },
      // Nor is its amount: seconds of the plan are.
      fraction: 0.05,
      elapsedSeconds: 5,
      // The stage's own rate is not the run's: the plan is believed.
      remainingSeconds: 95,
      memoryBytes: 7,
    });
    expect(at(10, windowStart(0))).toMatchObject({
      place: { unit: "window", number: 1, count: 2, blocks: [1, 2] },
      stage: null,
      fraction: 0.1,
      remainingSeconds: 90,
    });
    expect(at(12, { event: "progress", stage: "collecting inputs", done: 1, total: 2 })).toMatchObject({
      stage: { name: "collecting inputs" },
      fraction: 0.1,
    });
    for (let done = 1; done < 10; done++) at(12 + done * 3, step(0, done));
    const trained = at(42, step(0, 10));
    expect(trained).toMatchObject({
      stage: null,
      training: { epoch: { number: 2, count: 2 }, loss: 0.1, tokensPerSecond: 100 },
    });
    expect(trained.fraction).toBe(0.5);
    expect(trained.remainingSeconds).toBeCloseTo(37.5, 6);
    expect(at(43, windowDone(0))).toMatchObject({ training: null, fraction: 0.5 });
    expect(at(44, windowStart(1))).toMatchObject({ place: { number: 2 }, fraction: 0.5 });
    expect(at(74, windowDone(1))).toMatchObject({ fraction: 0.9 });
    expect(at(75, { event: "exporting", format: "compressed-tensors", path: "out" })).toMatchObject({
      place: null,
      stage: { name: "writing compressed-tensors", done: 0, total: 0 },
      fraction: 0.96,
      remainingSeconds: null,
    });
    const exported = at(76, {
      event: "exported",
      format: "compressed-tensors",
      path: "out",
      bytes: 5,
      notes: [],
      losses: [],
    });
    expect(exported).toMatchObject({ stage: null, fraction: 1 });
  });

  it("never falls: through stages before the windows, scores, sample texts and every format", () => {
    const formats = ["compressed-tensors", "gguf"];
    const exports = formats.map((format) => ({ format, path: format, bytes: 1 }));
    const part = (stage: string): QuantizeEvent[] =>
      [0, 1, 2].map((done) => ({ event: "progress", stage, done, total: 2 }));
    const written = (format: string): QuantizeEvent[] => [
      { event: "exporting", format, path: format },
      ...part(`writing ${format}`),
      { event: "exported", format, path: format, bytes: 1, notes: [], losses: [] },
    ];
    const window = (number: number): QuantizeEvent[] => [
      windowStart(number),
      ...part("collecting inputs"),
      ...Array.from({ length: 10 }, (_, i) => step(number, i + 1)),
      windowDone(number),
    ];
    const events: QuantizeEvent[] = [
      { ...plan, exports },
      ...part("checking weights"),
      ...part("measuring losses"),
      ...[0, 1].flatMap(window),
      { event: "report", worstLayer: null, slowestWindow: null },
      ...part("scoring"),
      ...part("writing sample texts"),
      ...formats.flatMap(written),
    ];
    const tracker = new ProgressTracker(0);
    const seen = events.map((event, second) => {
      tracker.apply(event, second);
      return tracker.state(second, 0).fraction ?? Number.NaN;
    });
    expect(seen.every((fraction, i) => i === 0 || fraction >= (seen[i - 1] ?? 0))).toBe(true);
    const behind = seen.slice(-17).map((fraction) => Math.round(fraction * 1000) / 1000);
    expect(behind).toEqual([
      ...[0.9, 0.9, 0.92, 0.94, 0.94, 0.95, 0.96],
      ...[0.96, 0.96, 0.97, 0.98, 0.98, 0.98, 0.98, 0.99, 1, 1],
    ]);
  });

  it("counts the formats of an export together", () => {
    const tracker = new ProgressTracker(0);
    const exports = ["gguf", "onnx"].map((format) => ({ format, path: format, bytes: 1 }));
    const at = (event: ExportEvent): number | null => {
      tracker.apply(event, 1);
      return tracker.state(1, 0).fraction;
    };
    expect(at({ event: "export-plan", result: "r", scheme: null, exports })).toBe(0);
    expect(at({ event: "progress", stage: "writing gguf", done: 1, total: 2 })).toBe(0.25);
    expect(at({ event: "exported", format: "gguf", path: "gguf", bytes: 1, notes: [], losses: [] })).toBe(0.5);
    expect(at({ event: "exporting", format: "onnx", path: "onnx" })).toBe(0.5);
    expect(at({ event: "progress", stage: "writing onnx", done: 1, total: 2 })).toBe(0.75);
  });

  it("knows no remaining time beyond what was expected, and none by the pace of windows for what follows them", () => {
    const tracker = new ProgressTracker(0);
    const at = (seconds: number, event: QuantizeEvent) => {
      tracker.apply(event, seconds);
      return tracker.state(seconds, 7);
    };
    at(0, plan);
    const slow = { event: "progress", stage: "making up calibration text", total: 2048 } as const;
    expect(at(99, { ...slow, done: 300 })).toMatchObject({ remainingSeconds: 1 });
    expect(at(101, { ...slow, done: 310 })).toMatchObject({ remainingSeconds: null });
    at(110, windowStart(0));
    at(410, windowDone(0));
    at(710, windowDone(1));
    at(711, { event: "exporting", format: "compressed-tensors", path: "out" });
    const writing = { event: "progress", stage: "writing compressed-tensors", total: 74 } as const;
    at(712, { ...writing, done: 1 });
    const half = at(714, { ...writing, done: 37 });
    expect(half.remainingSeconds ?? 0).toBeLessThan(10);
  });

  it("takes the fraction and the time from the stage where there are no windows", () => {
    const tracker = new ProgressTracker(0);
    for (let done = 0; done <= 30; done++) {
      tracker.apply({ event: "progress", stage: "loading", done, total: 30 }, done / 10);
    }
    for (let done = 0; done <= 10; done++) {
      tracker.apply({ event: "progress", stage: "measuring", done, total: 40 }, 3 + done);
    }
    const state = tracker.state(13, 0);
    expect(state.fraction).toBe(0.25);
    expect(state.remainingSeconds).toBeCloseTo(30, 6);
    tracker.apply({ event: "progress", stage: "waiting", done: 0, total: 0 }, 14);
    expect(tracker.state(14, 0)).toMatchObject({ fraction: null, remainingSeconds: null });
  });
});
