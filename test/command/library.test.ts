import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { Checkpoint } from "../../src/checkpoint/checkpoint.js";
import type { QuantizeEvent } from "../../src/index.js";
import { writeCutModel } from "../fixtures/cut-model.js";
import { library } from "../fixtures/in-process/library.js";
import { type Workplace, workplace } from "../fixtures/sample-text.js";

const { quantize, evaluate, loadModel, OptionError, InputError } = library;

// Training starts as soon as may be, from whatever codes.
const size = { samples: 4, context: 64, rounding: { start: "rtn" }, range: { candidates: 6 } } as const;
// GPTQ would fit so few tokens exactly, and leave training nothing to gain.
const short = { window: { epochs: 1, batch: 2 }, endToEnd: { epochs: 1 } } as const;
/** More epochs than any machine trains until it is stopped. */
const endless = { window: { epochs: 100_000 } };

async function collect(events: AsyncIterable<QuantizeEvent>): Promise<QuantizeEvent[]> {
  const all: QuantizeEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

describe("quantize", () => {
  let place: Workplace;
  let model = "";
  let out = "";
  let events: QuantizeEvent[] = [];
  beforeAll(async () => {
    place = workplace(150);
    model = join(place.folder, "model");
    await writeCutModel(model, 3);
    out = join(place.folder, "w2");
    const calibration = [place.text];
    events = await collect(quantize({ model, scheme: "W2A16g64", calibration, out, ...size, ...short }));
  });
  afterAll(() => place[Symbol.dispose]());

  it("tells plan, calibration, windows, steps, export, report and end, in this order", () => {
    const names = events.map(({ event }) => event).filter((name, i, all) => name !== all[i - 1]);
    expect(names.slice(0, 2)).toEqual(["run", "plan"]);
    expect(names.filter((name) => name !== "progress").slice(-6)).toEqual([
      "report",
      "quality",
      "exporting",
      "exported",
      "sizes",
      "done",
    ]);
    const order = ["plan", "calibrate", "window-start", "step", "window-done", "report", "done"];
    const places = order.map((name) => names.indexOf(name as QuantizeEvent["event"]));
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(places[0]).toBe(1);
    const done = events.filter((event) => event.event === "window-done");
    expect(done.map(({ blocks }) => blocks[0])).toEqual([0, 1, 0]);
    expect(done.flatMap(({ layers }) => layers).length).toBe(21);
    for (const { lossBefore, lossAfter } of done)
      expect(lossAfter?.total).toBeLessThan((lossBefore?.total ?? 0) * 1.05);
    expect(events.at(-1)).toMatchObject({ event: "done", out, devicePeakBytes: null });
    expect(JSON.parse(JSON.stringify(events))).toEqual(events);
  });

  it("writes a folder with tokenizer, configuration, record and untouched tensors byte for byte", async () => {
    const files = readdirSync(out).sort();
    for (const file of ["config.json", "crossblock.json", "model.safetensors", "tokenizer.json"]) {
      expect(files).toContain(file);
    }
    expect(readFileSync(join(out, "tokenizer.json"))).toEqual(readFileSync(join(model, "tokenizer.json")));
    const record = JSON.parse(readFileSync(join(out, "crossblock.json"), "utf8")) as Record<string, unknown>;
    expect(record).toMatchObject({
      scheme: "W2A16g64",
      symmetric: true,
      recipe: "cbq",
      seed: 0,
      activations: null,
      // The GPU alone may choose others.
      engine: { device: "cpu", dtype: expect.stringMatching(/^(float32|bfloat16)$/) as string, gradients: "full" },
      options: { window: { epochs: 1, size: 2 }, samples: 4 },
      calibration: { sequences: 4, context: 64, hash: expect.stringMatching(/^[0-9a-f]{64}$/) as string },
    });
    using source = await Checkpoint.open(model);
    using written = await Checkpoint.open(out);
    const untouched = [...source.tensors.keys()].filter((name) => !name.endsWith("_proj.weight"));
    expect(untouched.length).toBe(8);
    for (const name of untouched) {
      expect(Buffer.compare(await written.read(name), await source.read(name)), name).toBe(0);
    }
  });

  it("gives a result that loads: perplexity, logits, text", async () => {
    const { value, tokens } = await evaluate(out, { text: place.text, context: 64 });
    const full = await evaluate(model, { text: place.text, context: 64 });
    // Calibrated on this very text, two bits may even fit it better; broken codes would give thousands.
    expect(value).not.toBe(full.value);
    expect(value).toBeLessThan(full.value * 1.5);
    expect(tokens % 63).toBe(0);
    await using loaded = await loadModel(out, { device: "cpu" });
    const { shape, data } = await loaded.logits([
      [0, 1, 2],
      [0, 1, 3],
    ]);
    expect(shape).toEqual([2, 3, 4096]);
    expect(data.length).toBe(2 * 3 * 4096);
    // The same two tokens before a third that differs; a matrix product rounds the last rows of a batch in its own order.
    const differences = data
      .slice(0, 2 * 4096)
      .map((logit, index) => Math.abs(logit - (data[3 * 4096 + index] ?? NaN)));
    expect(Math.max(...differences)).toBeLessThan(1e-4);
    let text = "";
    for await (const piece of loaded.generate("The Congress", { tokens: 5 })) text += piece;
    expect(text.length).toBeGreaterThan(0);
    await expect(loaded.logits([[0], [0, 1]])).rejects.toBeInstanceOf(InputError);
    await expect(loaded.logits([[4096]])).rejects.toThrow(/4096 is no token id.*Next: /);
  });

  it("writes the same bytes again for the same seed", async () => {
    const again = join(place.folder, "again");
    const calibration = [place.text];
    await collect(quantize({ model, scheme: "W2A16g64", calibration, out: again, score: false, ...size, ...short }));
    const [first, second] = [out, again].map((folder) => readFileSync(join(folder, "model.safetensors")));
    expect(first !== undefined && second?.equals(first)).toBe(true);
  });

  it("stops when it is aborted and leaves nothing", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const target = join(place.folder, "stopped");
    const before = readdirSync(place.folder).sort();
    const run = async (): Promise<void> => {
      const options = { model, scheme: "W2A16g64" as const, calibration: [place.text], out: target, ...size };
      for await (const event of quantize({ ...options, ...endless, signal: controller.signal })) {
        if (event.event === "step") controller.abort(reason);
      }
    };
    await expect(run()).rejects.toBe(reason);
    expect(readdirSync(place.folder).sort()).toEqual(before);
  });

  it("starts nearer to the target from GPTQ's codes", async () => {
    const firstLoss = async (start: "rtn" | "gptq"): Promise<number> => {
      const options = { model, scheme: "W2A16g64" as const, calibration: [place.text], ...size, ...short };
      for await (const event of quantize({ ...options, out: join(place.folder, start), rounding: { start } })) {
        if (event.event === "window-done") return event.lossBefore?.total ?? Number.NaN;
      }
      return Number.NaN;
    };
    expect(await firstLoss("gptq")).toBeLessThan((await firstLoss("rtn")) * 0.9);
  });

  it("stops when its reader leaves the loop", async () => {
    const target = join(place.folder, "left");
    const options = { model, scheme: "W2A16g64" as const, calibration: [place.text], out: target, ...size };
    for await (const event of quantize({ ...options, ...endless })) {
      if (event.event === "step") break;
    }
    expect(readdirSync(place.folder).filter((name) => name.includes("left"))).toEqual([]);
  });

  it("leaves this thread free while a window trains", async () => {
    const target = join(place.folder, "watched");
    const options = { model, scheme: "W2A16g64" as const, calibration: [place.text], out: target, ...size };
    let [turns, steps, training] = [0, 0, false];
    const turn = (): void => {
      if (training) turns++;
      if (steps < 6) setTimeout(turn, 1);
    };
    turn();
    for await (const event of quantize(options)) {
      training ||= event.event === "window-start";
      if (event.event === "step" && ++steps === 6) break;
    }
    // Work in this thread would let it turn once between two events; a step takes many milliseconds.
    expect(turns).toBeGreaterThan(20);
  });

  it("plans without writing", async () => {
    const target = join(place.folder, "planned");
    const options = { model, scheme: "W4A4" as const, calibration: [place.text], out: target, dryRun: true };
    const planned = await collect(quantize({ ...options, ...size, endToEnd: { epochs: 1 } }));
    const names = planned.map(({ event }) => event).filter((name) => name !== "progress");
    expect(names).toEqual(["run", "plan", "calibrate", "done"]);
    expect(planned[1]).toMatchObject({
      blocks: 3,
      linears: 21,
      weights: 2359296,
      windows: [
        [0, 1],
        [1, 2],
        [0, 2],
      ],
      simulatedActivations: expect.stringContaining("4-bit") as string,
    });
    expect(planned.at(-1)).toMatchObject({ event: "done", out: null });
    expect(existsSync(target)).toBe(false);
  });

  it("refuses bad options before anything starts", async () => {
    const run = (extra: object): Promise<QuantizeEvent[]> =>
      collect(
        quantize({
          model,
          scheme: "W2A16g64",
          calibration: [place.text],
          out: join(place.folder, "x"),
          ...extra,
        }),
      );
    await expect(run({ windows: { size: 2 } })).rejects.toThrow(/did you mean "window"/);
    await expect(run({ scheme: "W2A16g48" })).rejects.toBeInstanceOf(OptionError);
    await expect(run({ overrides: [{ pattern: "model.layers.9.*", skip: true }] })).rejects.toThrow(/Next: /);
    await expect(run({ overrides: [{ pattern: "*", skip: true }] })).rejects.toThrow(
      /nothing is quantized.*Next: give/,
    );
    await expect(run({ out: place.folder })).rejects.toThrow(
      /holds the (model|calibration text).*Next: choose a new folder/,
    );
    await expect(run({ out: model, force: true })).rejects.toThrow(/is the model that is quantized/);
  });
});

describe("examples/quantize-and-evaluate.ts", () => {
  it("runs", async () => {
    using place = workplace(150);
    const model = join(place.folder, "model");
    await writeCutModel(model, 2);
    const argv = process.argv;
    const lines: string[] = [];
    const log = vi.spyOn(console, "log").mockImplementation((line: string) => void lines.push(line));
    const write = vi.spyOn(process.stdout, "write").mockImplementation(() => true);
    process.argv = [...argv.slice(0, 2), model, place.text, join(place.folder, "out"), "2", "64"];
    try {
      await import("../../examples/quantize-and-evaluate.js");
    } finally {
      process.argv = argv;
      log.mockRestore();
      write.mockRestore();
    }
    // A window, and end-to-end epochs where the device has the time for them.
    expect([1, 1 + 4]).toContain(lines.filter((line) => line.startsWith("window ")).length);
    expect(lines.filter((line) => line.includes("perplexity ")).length).toBe(2);
    expect(lines.at(-1)).toMatch(/1 x 4 x 4096/);
  });
});
