import { describe, expect, it } from "vitest";
import { Places, placeText, windowsText } from "./places.js";

type Windows = readonly (readonly [number, number])[];
const pairs: Windows = [
  [0, 1],
  [1, 2],
];
const all: Windows = [
  [0, 2],
  [0, 2],
];
const planned = (windows: Windows, recipe: "cbq" | "gptq" | "rtn" | "kurtosis" = "cbq", blocks = 3) => ({
  windows,
  recipe,
  blocks,
});

function texts(plan: ReturnType<typeof planned>): string[] {
  const places = new Places(plan);
  return plan.windows.map((_, window) => placeText(places.ofWindow(window, plan.windows.length)));
}

describe("Places", () => {
  it("counts windows, blocks and epochs from 1, and names the epochs of end-to-end training", () => {
    expect(texts(planned([...pairs, ...all]))).toEqual([
      "window 1 of 2 (blocks 1-2)",
      "window 2 of 2 (blocks 2-3)",
      "end to end, epoch 1 of 2",
      "end to end, epoch 2 of 2",
    ]);
    expect(texts(planned(pairs))).toEqual(["window 1 of 2 (blocks 1-2)", "window 2 of 2 (blocks 2-3)"]);
    expect(texts(planned([[0, 0], [1, 1], [2, 2], ...all], "gptq"))).toEqual([
      "block 1 of 3",
      "block 2 of 3",
      "block 3 of 3",
      "end to end, epoch 1 of 2",
      "end to end, epoch 2 of 2",
    ]);
  });

  it("takes the first of the windows that hold all blocks for the recipe's own, where it has no other", () => {
    expect(texts(planned([...all, [0, 2]]))).toEqual([
      "window 1 of 1 (blocks 1-3)",
      "end to end, epoch 1 of 2",
      "end to end, epoch 2 of 2",
    ]);
    expect(texts(planned([[0, 0]], "rtn", 1))).toEqual(["block 1 of 1"]);
  });

  it("names the parts of a training of the whole model before the blocks, however few there are", () => {
    expect(texts(planned([...all, [0, 0], [1, 1], [2, 2], [0, 2]], "kurtosis"))).toEqual([
      "training, part 1 of 2",
      "training, part 2 of 2",
      "block 1 of 3",
      "block 2 of 3",
      "block 3 of 3",
      "end to end, epoch 1 of 1",
    ]);
    const single: Windows = [0, 1, 2].map(() => [0, 0] as const);
    expect(texts(planned(single, "kurtosis", 1))).toEqual([
      "training, part 1 of 2",
      "training, part 2 of 2",
      "block 1 of 1",
    ]);
    expect(windowsText(planned(single, "kurtosis", 1))).toMatch(
      /^the whole model is trained first, in 2 parts; none: 1/,
    );
  });

  it("calls everything a window without a plan", () => {
    expect(placeText(new Places(null).at({ window: 1, windows: 4, blocks: [1, 1] }))).toBe("window 2 of 4 (block 2)");
  });
});

describe("windowsText", () => {
  it("says what a plan's windows are", () => {
    expect(windowsText(planned([...pairs, ...all]))).toBe("2 over 3 blocks: 1-2 2-3; then 2 epochs end to end");
    expect(
      windowsText(
        planned(
          [
            [0, 0],
            [1, 1],
            [2, 2],
          ],
          "rtn",
        ),
      ),
    ).toBe("none: 3 blocks, one after the other");
  });
});
