import { describe, expect, it } from "vitest";
import type { PlanEvent, RunEvent } from "../run/events/events.js";
import { EventNotes } from "./event-notes.js";

const notesOf = (event: RunEvent): string[] => new EventNotes().of(event);

const planned = (recipe: string, windows: readonly (readonly number[])[]): PlanEvent =>
  ({
    ...{ event: "plan", recipe, windows, blocks: 3, effort: null },
    estimate: { range: [1, 2], load: 0 },
  }) as unknown as PlanEvent;

const rounded = (recipe: "rtn" | "gptq"): string[] => {
  const windows = [0, 1, 2].map((block) => [block, block] as const);
  const notes = new EventNotes();
  notes.of(planned(recipe, windows));
  const events = [
    ...windows.map((blocks, window) => ({
      event: "window-done" as const,
      window,
      windows: 3,
      blocks,
      lossBefore: null,
      lossAfter: null,
      layers: [{ name: `layers.${window}`, relativeError: 0.01 * (window + 1) }],
      seconds: 2,
    })),
    {
      event: "report" as const,
      worstLayer: { name: "layers.2", relativeError: 0.03 },
      slowestWindow: { window: 1, blocks: [1, 1] as const, seconds: 2 },
    },
  ];
  return events.flatMap((event) => notes.of(event));
};

describe("EventNotes", () => {
  it("tells of blocks that are rounded in one line, and of those that GPTQ computes as blocks", () => {
    expect(rounded("rtn")).toEqual(["3 blocks rounded: worst layers.2 (relative error 3.00 %), 6.0 s"]);
    expect(rounded("gptq")).toEqual([
      "block 1 of 3: worst layers.0 (relative error 1.00 %), 2.0 s",
      "block 2 of 3: worst layers.1 (relative error 2.00 %), 2.0 s",
      "block 3 of 3: worst layers.2 (relative error 3.00 %), 2.0 s",
      "worst layer: layers.2 (relative error 3.00 %)",
      "slowest: block 2 of 3, 2.0 s",
    ]);
  });

  it("says where a continued run goes on", () => {
    const notes = new EventNotes();
    const windows = [
      [0, 1],
      [1, 2],
      [0, 2],
      [0, 2],
    ];
    notes.of(planned("cbq", windows));
    const continued = (window: number): string[] => notes.of({ event: "continued", window, windows: 4, work: "w" });
    expect(continued(1)).toEqual(["continuing after window 1 of 2 (blocks 1-2), saved in w"]);
    expect(continued(3)).toEqual(["continuing after end to end, epoch 1 of 2, saved in w"]);
  });

  it("keeps a window's losses, its worst layer and its time", () => {
    const branches = { fullPrecision: null, quantized: null };
    const done = {
      event: "window-done",
      window: 2,
      windows: 7,
      blocks: [2, 3],
      lossBefore: { total: 0.0123, ...branches },
      lossAfter: { total: 0.00045, ...branches },
      layers: [
        { name: "model.layers.2.mlp.up_proj", relativeError: 0.01 },
        { name: "model.layers.2.mlp.down_proj", relativeError: 0.1234 },
      ],
      seconds: 12.3,
    } as const;
    expect(notesOf(done)).toEqual([
      "window 3 of 7 (blocks 3-4): loss 0.01230 -> 4.500e-4, " +
        "worst model.layers.2.mlp.down_proj (relative error 12.3 %), 12 s",
    ]);
    expect(notesOf({ ...done, blocks: [2, 2], lossBefore: null, lossAfter: null, layers: [] })).toEqual([
      "window 3 of 7 (block 3): 12 s",
    ]);
  });

  it("keeps warnings with their next action, harmless for a terminal", () => {
    const warning = { event: "warning", message: "clipped", where: "layer \x1b]0;x\x07", next: "use --asym" } as const;
    expect(notesOf(warning)).toEqual(["warning: layer  ]0;x : clipped; next: use --asym"]);
  });

  it("keeps what was calibrated on, what was written, and the report", () => {
    expect(
      notesOf({
        event: "calibrate",
        source: "files",
        why: null,
        documents: 294,
        tokens: 2_273_079,
        sequences: 256,
        context: 512,
        hash: "0",
      }),
    ).toEqual(["calibration: 2,273,079 tokens of 294 documents, 256 sequences of 512 chosen"]);
    const written = { event: "exported", format: "gguf", path: "out/a.gguf", bytes: 4.5e6 } as const;
    expect(notesOf({ ...written, notes: [], losses: [] })).toEqual(["wrote gguf, 4.5 MB of weights: out/a.gguf"]);
    const losses = [
      { tensor: "blk.0.ffn_up.weight", type: "Q3_K", relativeError: 1e-4 },
      { tensor: "blk.0.ffn_down.weight", type: "Q3_K", relativeError: 2e-3 },
    ];
    expect(notesOf({ ...written, notes: ["The context is shorter."], losses })).toEqual([
      "wrote gguf, 4.5 MB of weights: out/a.gguf",
      "  The context is shorter.",
      "  2 tensors are not exact: worst blk.0.ffn_down.weight as Q3_K, relative squared error 0.0020",
    ]);
    expect(
      notesOf({
        event: "report",
        worstLayer: { name: "lm_head", relativeError: 0.05 },
        slowestWindow: { window: 0, blocks: [0, 1], seconds: 75 },
      }),
    ).toEqual(["worst layer: lm_head (relative error 5.00 %)", "slowest: window 1 of 1 (blocks 1-2), 1 min 15 s"]);
    expect(notesOf({ event: "report", worstLayer: null, slowestWindow: null })).toEqual([]);
  });

  it("keeps nothing of what the live block shows", () => {
    expect(notesOf({ event: "progress", stage: "reading", done: 1, total: 2 })).toEqual([]);
  });
});
