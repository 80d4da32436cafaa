import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { type QuantizeOptions, quantize } from "../../../src/api/quantize.js";
import { parquetFiles } from "../../../src/calibration/testing/parquet-files.js";
import { startFakeDatasetHub } from "../../../src/checkpoint/testing/fake-hub.js";
import { EventNotes } from "../../../src/cli/event-notes.js";
import { formatPlan } from "../../../src/cli/plan-text.js";
import type { QuantizeEvent } from "../../../src/run/events/events.js";
import { type Workplace, workplace } from "../../fixtures/sample-text.js";
import { writeTinyLlama } from "../../fixtures/tiny-llama.js";

vi.mock("../../../src/run/engine/engine-client.js", () => import("../../fixtures/engine-in-process.js"));

let place: Workplace;
let model: string;
beforeAll(async () => {
  place = workplace(600);
  model = join(place.folder, "model");
  await writeTinyLlama(model, 2);
});
afterAll(() => place[Symbol.dispose]());
afterEach(() => vi.unstubAllEnvs());

async function run(out: string, more: Partial<QuantizeOptions> = {}): Promise<QuantizeEvent[]> {
  const given = { model, scheme: "W3A16g8", recipe: "gptq", device: "cpu", samples: 4, context: 32 } as const;
  const events: QuantizeEvent[] = [];
  for await (const event of quantize({ ...given, out: join(place.folder, out), ...more })) events.push(event);
  return events;
}

const planOf = (events: readonly QuantizeEvent[]) => events.find((event) => event.event === "plan");
const textOf = (events: readonly QuantizeEvent[]) => events.find((event) => event.event === "calibrate");

describe("calibration without text of the user's", () => {
  it("takes the bundled text on a CPU; plan, screen and record say so and why", async () => {
    const events = await run("default");
    const plan = planOf(events);
    expect(plan?.text).toEqual({ source: "bundled", why: expect.stringMatching(/^no --calibration was given/) });
    expect(plan === undefined ? "" : formatPlan(plan)).toMatch(
      /calibration: 128 tokens of the bundled text \(no --cal/,
    );
    expect(events.flatMap((event) => new EventNotes().of(event)).join("\n")).toMatch(
      /documents of the bundled text, 4 sequences of 32 chosen/,
    );
    const record = JSON.parse(readFileSync(join(place.folder, "default", "crossblock.json"), "utf8"));
    expect(record.calibration).toMatchObject({ source: "bundled", why: plan?.text?.why, sequences: 4, context: 32 });
    // As it was given: the same command finds its result.
    expect(record.options.calibration).toEqual([]);
    expect((await run("default")).map(({ event }) => event)).toContain("already-there");
  });

  it("is the same text where it is asked for, another with another seed, and told by a dry run", async () => {
    const first = textOf(await run("asked", { calibration: ["bundled"] }));
    expect(first).toMatchObject({ source: "bundled", why: null });
    expect(textOf(await run("dry", { dryRun: true }))?.hash).toBe(first?.hash);
    expect(textOf(await run("dry", { dryRun: true, seed: 1 }))?.hash).not.toBe(first?.hash);
  });

  it("is for what needs text: rounding to nearest reads none", async () => {
    const events = await run("nearest", { recipe: "rtn", samples: undefined, context: undefined, dryRun: true });
    expect([planOf(events)?.text, textOf(events)]).toEqual([null, undefined]);
    const scales = await run("scales", { recipe: "rtn", finish: "scales", dryRun: true });
    expect(textOf(scales)?.source).toBe("bundled");
  });
});

describe("text that is given to what needs none", () => {
  const short = { calibration: [] as string[], samples: 500, context: 48 };
  beforeAll(() => {
    short.calibration = [place.text];
  });

  it("may be short: as much as there is shows the errors, and is scored", async () => {
    const events = await run("short", { ...short, recipe: "rtn" });
    const { sequences, tokens = 0 } = textOf(events) ?? {};
    expect(sequences).toBe(Math.floor(tokens / 48));
    expect(events.find((event) => event.event === "quality")?.text).toMatch(/^4 sequences of the calibration text/);
    const sentence = join(place.folder, "sentence.txt");
    writeFileSync(sentence, "The Navy must provide for the peace of the Union.");
    const few = { ...short, calibration: [sentence], recipe: "rtn", score: false, dryRun: true } as const;
    const one = textOf(await run("one", few));
    expect(one).toMatchObject({ sequences: 1, context: one?.tokens });
    const long = textOf(await run("long", { ...short, recipe: "rtn", context: 64, samples: 4, dryRun: true }));
    expect(long).toMatchObject({ sequences: 4, context: 64 });
  });

  it("is too short where ranges, scales or another recipe are fitted to it", async () => {
    for (const needs of [
      { recipe: "gptq" },
      { recipe: "rtn", finish: "scales" },
      { recipe: "rtn", scheme: "W4A4", activation: { granularity: "tensor" } },
    ] as const) {
      await expect(run("none", { ...short, ...needs, dryRun: true })).rejects.toThrow(/500 sequences of 48 take/);
    }
  });
});

describe("calibration on a data set of the hub", () => {
  it("downloads a split, reads the column, and says what there is where a name is wrong", async () => {
    const lines = Array.from(
      { length: 40 },
      (_, i) => `${JSON.stringify({ body: `The Senate sat ${i} times. `.repeat(9) })}\n`,
    );
    await using hub = await startFakeDatasetHub({
      main: {
        "train.jsonl": lines.join(""),
        "validation.jsonl": readFileSync(place.text, "utf8"),
        "test.parquet": Buffer.from(parquetFiles.otherColumns, "base64"),
      },
    });
    vi.stubEnv("HF_ENDPOINT", hub.url);
    vi.stubEnv("HF_HUB_CACHE", join(place.folder, "hub"));
    const named = await run("hub", { calibration: ["hub:owner/texts:train:body"] });
    expect(textOf(named)).toMatchObject({ source: "hub", why: null, documents: 40, sequences: 4 });
    const local = textOf(await run("local", { calibration: [place.text], dryRun: true }));
    const same = textOf(await run("dry", { calibration: ["hub:owner/texts:validation"], dryRun: true }));
    expect(same?.hash).toBe(local?.hash);
    const dry = (calibration: string): Promise<unknown> => run("dry", { calibration: [calibration], dryRun: true });
    await expect(dry("hub:owner/texts:train:text")).rejects.toThrow(/no column "text".*the key "body"/);
    await expect(dry("hub:owner/texts:train")).rejects.toThrow(/neither a "text".*nor "messages"/);
    await expect(dry("hub:owner/texts:test:text")).rejects.toThrow(/no column "text".*"content", "label"/);
    await expect(dry("hub:owner/texts:dev")).rejects.toThrow(/no split "dev".*test, train, validation/);
    await expect(dry("hub:owner")).rejects.toThrow(/does not name a data set.*hub:owner\/name:split:column/);
  });
});

describe("calibration text that can't be used", () => {
  it("is told before any weight is read: a file that is missing, and one that is binary", async () => {
    const binary = join(place.folder, "binary.txt");
    writeFileSync(binary, Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0xff, 0xfe, 0x80]));
    const other = join(place.folder, "weights.bin");
    writeFileSync(other, Buffer.alloc(64, 0x81));
    for (const [path, message] of [
      [join(place.folder, "none.txt"), /none\.txt.*there is no such file/],
      [binary, /binary\.txt.*(?:UTF-8|NUL)/],
      [other, /weights\.bin.*can't be read as text.*Next: give/],
    ] as const) {
      const stages: string[] = [];
      const events = quantize({
        ...{ model, scheme: "W3A16g8", recipe: "gptq", device: "cpu", out: join(place.folder, "x") },
        calibration: [path],
      });
      const read = async (): Promise<void> => {
        for await (const event of events) if (event.event === "progress") stages.push(event.stage);
      };
      await expect(read()).rejects.toThrow(message);
      expect(stages.filter((stage) => /weights/.test(stage))).toEqual([]);
    }
  });
});
