import { stripVTControlCharacters } from "node:util";
import stringWidth from "string-width";
import { describe, expect, it } from "vitest";
import { colorsOf } from "../terminal/terminal-colors.js";
import type { ProgressState } from "./progress-tracker.js";
import { formatLoss, render, statusLine } from "./render-progress.js";

const start: ProgressState = {
  title: null,
  place: null,
  training: null,
  stage: null,
  fraction: null,
  elapsedSeconds: 0,
  remainingSeconds: null,
  memoryBytes: 120e6,
};

const training: ProgressState = {
  ...start,
  title: "W2A16g64 by cbq on cpu",
  place: { unit: "window", number: 3, count: 7, blocks: [3, 4] },
  training: { epoch: { number: 5, count: 12 }, loss: 0.012345, tokensPerSecond: 12_345.6 },
  fraction: 0.4199,
  elapsedSeconds: 65.9,
  remainingSeconds: 7384.2,
  memoryBytes: 812e6,
};

describe("render", () => {
  it("shows window, epoch, loss, tokens/s, elapsed and remaining time, memory", () => {
    expect(render(training, 79)).toEqual([
      "W2A16g64 by cbq on cpu, window 3 of 7 (blocks 3-4)",
      `${"█".repeat(22)}${"░".repeat(32)}  41 %`,
      "epoch 5 of 12, loss 0.01235, 12,346 tokens/s",
      "elapsed 1:05, about 2:03:05 left, memory 812 MB",
    ]);
  });

  it("shows a stage in place of the training, with its amount where it is known", () => {
    const stage = { name: "reading weights", done: 1200, total: 3400 };
    expect(render({ ...training, stage }, 79)[2]).toBe("reading weights 1,200 of 3,400");
    expect(render({ ...start, stage: { name: "writing gguf", done: 0, total: 0 } }, 79)).toEqual([
      "writing gguf",
      "elapsed 0:00, memory 120 MB",
    ]);
  });

  it("shows a window of one block, and both ends of the bar", () => {
    const place = { unit: "window", number: 1, count: 8, blocks: [1, 1] } as const;
    const first: ProgressState = { ...start, place, fraction: 0 };
    expect(render(first, 20).slice(0, 2)).toEqual(["window 1 of 8 (block", `${"░".repeat(14)}   0 %`]);
    expect(render({ ...first, fraction: 1 }, 20)[1]).toBe(`${"█".repeat(14)} 100 %`);
  });

  it("keeps every line within the width, and halves no character", () => {
    const stage = { name: "reading 東京の文章/👩‍👩‍👧/naïve.txt", done: 0, total: 0 };
    for (const width of [1, 5, 11, 12, 13, 20, 40, 200]) {
      for (const line of render({ ...training, stage }, width)) expect(stringWidth(line)).toBeLessThanOrEqual(width);
    }
    expect(render({ ...start, stage }, 11)[0]).toBe("reading 東");
    expect(render({ ...start, stage }, 18)[0]).toBe("reading 東京の文章");
    expect(render({ ...start, stage }, 20)[0]).toBe("reading 東京の文章/");
    expect(render({ ...start, stage }, 21)[0]).toBe("reading 東京の文章/👩‍👩‍👧");
  });

  it("names blocks that are rounded one by one, and epochs of end-to-end training, of which it does not say the epoch twice", () => {
    const block: ProgressState = { ...start, place: { unit: "block", number: 2, count: 8, blocks: [2, 2] } };
    expect(render(block, 79)[0]).toBe("block 2 of 8");
    const epoch: ProgressState = {
      ...training,
      place: { unit: "epoch", number: 2, count: 4, blocks: [1, 8] },
      training: { epoch: null, loss: 0.5, tokensPerSecond: 10 },
    };
    expect(render(epoch, 79)[0]).toBe("W2A16g64 by cbq on cpu, end to end, epoch 2 of 4");
    expect(render(epoch, 79)[2]).toBe("loss 0.5000, 10 tokens/s");
  });

  it("colours whole lines, and nothing unless it is asked to", () => {
    const plain = render(training, 79);
    const coloured = render(training, 79, colorsOf({ isTTY: true }, { TERM: "xterm" }));
    expect(coloured).not.toEqual(plain);
    expect(coloured.map(stripVTControlCharacters)).toEqual(plain);
  });

  it("lets no control character of a name reach the terminal", () => {
    const stage = { name: "reading \x1b[2Jevil\n", done: 0, total: 0 };
    expect(render({ ...start, stage }, 79)[0]).toBe("reading  [2Jevil ");
  });
});

describe("statusLine", () => {
  it("says the same on one line", () => {
    expect(statusLine(training)).toBe(
      "window 3 of 7 (blocks 3-4), 41 %, epoch 5 of 12, loss 0.01235, 12,346 tokens/s, " +
        "elapsed 1:05, about 2:03:05 left, memory 812 MB",
    );
    expect(statusLine(start)).toBe("elapsed 0:00, memory 120 MB");
  });
});

describe("formatLoss", () => {
  it("has four digits at every magnitude", () => {
    const losses = [0, 1.23456e-7, 0.00123456, 1.23456, 1234.56, 1.23456e9, Number.NaN];
    expect(losses.map(formatLoss)).toEqual(["0.000e+0", "1.235e-7", "0.001235", "1.235", "1235", "1.235e+9", "NaN"]);
  });
});
