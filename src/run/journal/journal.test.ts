import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../../checkpoint/testing/temporary-folder.js";
import { liveHandles } from "../../tensor/index.js";
import { type Case, cbq, open, quick, result, run, useTinyModel, whole, windowsOf } from "./testing/tiny-runs.js";

useTinyModel();

const scales = { finish: "scales", endToEnd: { epochs: 3, batch: 4 } } as const;
const cases: readonly (readonly [string, Case])[] = [
  ["rtn", { recipe: "rtn", scheme: "W3A16g8", options: {}, text: false }],
  [
    "rtn with static inputs",
    { recipe: "rtn", scheme: "W4A8", options: { activation: { granularity: "tensor" } }, text: true },
  ],
  ["gptq", { recipe: "gptq", scheme: "W3A16g8", options: {}, text: true }],
  ["gptq, then all scales", { recipe: "gptq", scheme: "W3A16g8", options: scales, text: true }],
  ["boa", { recipe: "boa", scheme: "W3A16g8", options: {}, text: true }],
  ["aespa", { recipe: "aespa", scheme: "W3A16g8", options: { aespa: { iterations: 20 } }, text: true }],
  ["norm-tweaking", { recipe: "norm-tweaking", scheme: "W3A16g8", options: {}, text: true }],
  ["brecq", { recipe: "brecq", scheme: "W3A16", options: { brecq: { epochs: 2, window: 2, overlap: 1 } }, text: true }],
  [
    "affine-quant",
    { recipe: "affine-quant", scheme: "W4A4", options: { affine: { epochs: 3, batch: 4 } }, text: true },
  ],
  [
    "efficient-qat, then all scales on the text",
    {
      recipe: "efficient-qat",
      scheme: "W3A16g8",
      options: { ...scales, endToEnd: { ...scales.endToEnd, loss: "next-token" }, blockAp: { epochs: 1 } },
      text: true,
    },
  ],
  ["cbq", cbq],
  [
    "cbq with CFP, then all scales and clips",
    { ...cbq, scheme: "W4A4g8", options: { ...scales, window: quick, cfp: { activations: true } } },
  ],
  [
    "cbq from gptq's codes, both branches",
    { ...cbq, options: { window: { ...quick, secondBranch: true }, finish: "none", rounding: { start: "gptq" } } },
  ],
  [
    "cbq behind AffineQuant's transforms",
    {
      ...cbq,
      scheme: "W4A4",
      options: { window: quick, finish: "none", transform: "affine", affine: { epochs: 3, batch: 4 } },
    },
  ],
  ["cbq with LoRA", { ...cbq, options: { window: quick, finish: "none", rounding: { kind: "lora" } } }],
  [
    "cbq with CFP and learnt clips, windows of 3",
    {
      ...cbq,
      scheme: "W4A4g8",
      options: { window: { ...quick, size: 3, overlap: 2 }, finish: "none", cfp: { weights: true, activations: true } },
    },
  ],
];

/** Windows that lie in a work directory. */
function windowsIn(folder: string): number {
  return readdirSync(folder).filter((file) => /^window-.*\.safetensors$/.test(file)).length;
}

describe("a run that was killed and continued", () => {
  it.each(cases)("gives the same bits as one that was not: %s", async (_name, of) => {
    const live = liveHandles();
    const expected = await whole(of);
    for (const windows of of.recipe === "cbq" ? [1, windowsOf(of) - 1] : [2]) {
      using folder = temporaryFolder();
      {
        using journal = await open(folder.path, of);
        expect(journal.resume.window).toBe(0);
        run(journal, of, windows);
      }
      const warnings: string[] = [];
      using journal = await open(folder.path, of, warnings);
      expect(journal.resume.window).toBe(windows);
      run(journal, of);
      expect(await result(journal)).toEqual(expected);
      expect(warnings).toEqual([]);
    }
    expect(liveHandles()).toBe(live);
  });

  it("goes on with as many sequences at once as were left when memory ran out", async () => {
    using folder = temporaryFolder();
    {
      using journal = await open(folder.path, cbq);
      run(journal, cbq, 1);
      expect(journal.chosen.microBatch).toBe(2);
      const [first] = journal.finished.done;
      if (first !== undefined) journal.windowDone({ ...first, window: 1 }, [], 1);
    }
    using journal = await open(folder.path, cbq);
    expect(journal.chosen).toEqual({ microBatch: 1, threads: 1, finish: "none" });
  });

  it.skipIf(process.platform !== "linux")("keeps no file open for a finished window", async () => {
    using folder = temporaryFolder();
    using journal = await open(folder.path, cbq);
    const before = readdirSync("/proc/self/fd").length;
    run(journal, cbq);
    await result(journal);
    expect(readdirSync("/proc/self/fd").length).toBe(before);
  });

  it("goes on from any window, one window a process", async () => {
    const expected = await whole(cbq);
    using folder = temporaryFolder();
    for (let window = 0; window < windowsOf(cbq); window++) {
      using journal = await open(folder.path, cbq);
      expect(journal.resume.window).toBe(window);
      run(journal, cbq, 1);
    }
    using journal = await open(folder.path, cbq);
    expect(journal.isComplete).toBe(true);
    expect(await result(journal)).toEqual(expected);
  });

  it("goes on after the last state that was saved, and does later windows again", async () => {
    const expected = await whole(cbq);
    using folder = temporaryFolder();
    let asked = 0;
    const pace = {
      get isDue() {
        return asked++ === 0;
      },
      time: <T>(save: () => T): T => save(),
    };
    {
      using journal = await open(folder.path, cbq, [], { pace });
      run(journal, cbq, 2);
      expect(asked).toBe(2);
      // The second window is handed over, and written when there is time.
      expect(windowsIn(folder.path)).toBe(1);
      journal.meanwhile(0);
      expect(windowsIn(folder.path)).toBe(1);
      journal.meanwhile(Number.POSITIVE_INFINITY);
      expect(windowsIn(folder.path)).toBe(2);
    }
    const warnings: string[] = [];
    using journal = await open(folder.path, cbq, warnings);
    expect(journal.resume.window).toBe(1);
    expect(warnings).toEqual([]);
    expect(windowsIn(folder.path)).toBe(1);
    run(journal, cbq);
    expect(await result(journal)).toEqual(expected);
  });
});

describe("a state that is saved", () => {
  it("brings the windows before it to the disk, or fails with the place", async () => {
    using folder = temporaryFolder();
    let due = false;
    const pace = {
      get isDue() {
        return due;
      },
      time: <T>(save: () => T): T => save(),
    };
    using journal = await open(folder.path, cbq, [], { pace });
    run(journal, cbq, 1);
    journal.meanwhile(Number.POSITIVE_INFINITY);
    const [done] = journal.finished.done;
    const window = readdirSync(folder.path).find((file) => file.startsWith("window-00000")) ?? "";
    rmSync(join(folder.path, window));
    due = true;
    const state = { name: "stream", dtype: "float32", shape: [1], pieces: () => [new Uint8Array(4)] } as const;
    expect(() => done !== undefined && journal.windowDone({ ...done, window: 1 }, [state], 1)).toThrow(
      new RegExp(`${window}.*Next: `),
    );
  });
});
