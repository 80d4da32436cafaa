import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { type QuantizeOptions, quantize } from "../../../src/api/quantize.js";
import { EventNotes } from "../../../src/cli/event-notes.js";
import { formatPlan } from "../../../src/cli/plan-text.js";
import { CalibrationError, InputError } from "../../../src/errors.js";
import type { QuantizeEvent } from "../../../src/run/events/events.js";
import { liveHandles } from "../../../src/tensor/index.js";
import { heard } from "../../fixtures/engine-in-process.js";
import { type Workplace, workplace } from "../../fixtures/sample-text.js";
import { writeTinyLlama } from "../../fixtures/tiny-llama.js";

vi.mock("../../../src/run/engine/engine-client.js", () => import("../../fixtures/engine-in-process.js"));

let place: Workplace;
let model: string;
let cache: string;
beforeAll(async () => {
  place = workplace(1);
  [model, cache] = [join(place.folder, "model"), join(place.folder, "cache")];
  await writeTinyLlama(model, 3);
});
afterAll(() => place[Symbol.dispose]());
afterEach(() => {
  heard.event = () => {};
  vi.unstubAllEnvs();
});

const MAKING = "making up calibration text";

interface Made {
  readonly events: readonly QuantizeEvent[];
  /** Whether any token was drawn. */
  readonly drew: boolean;
  readonly hash: string | undefined;
}

async function run(out: string, more: Partial<QuantizeOptions> = {}): Promise<Made> {
  vi.stubEnv("XDG_CACHE_HOME", cache);
  const made = { samples: 5, context: 24, seed: 1 } as const;
  const given = { model, scheme: "W3A16g8", recipe: "gptq", device: "cpu", ...made, score: false } as const;
  const range = { candidates: 6 };
  const events: QuantizeEvent[] = [];
  const calibration = ["self-generated"];
  for await (const event of quantize({ ...given, range, calibration, out: join(place.folder, out), ...more }))
    events.push(event);
  const drew = events.some((event) => event.event === "progress" && event.stage === MAKING);
  return { events, drew, hash: events.find((event) => event.event === "calibrate")?.hash };
}

function weightsOf(out: string): Buffer {
  return readFileSync(join(place.folder, out, "model.safetensors"));
}

function forget(): void {
  rmSync(cache, { recursive: true, force: true });
}

/** Stops at the first event that fits; events are heard as they happen. */
async function stopped(
  out: string,
  at: (event: { readonly event: string }) => boolean,
  more: Partial<QuantizeOptions> = {},
): Promise<void> {
  const controller = new AbortController();
  heard.event = (event) => {
    if (at(event)) controller.abort(new RangeError("enough"));
  };
  await expect(run(out, { ...more, signal: controller.signal })).rejects.toThrow("enough");
  heard.event = () => {};
}

describe("text that the model makes up", () => {
  it("is the same for a seed, whatever is made at once, and is made once", async () => {
    forget();
    const first = await run("first", { score: true });
    expect(first.drew).toBe(true);
    const record = JSON.parse(readFileSync(join(place.folder, "first", "crossblock.json"), "utf8"));
    expect(record.calibration).toMatchObject({ source: "self-generated", sequences: 5, context: 24, tokens: 120 });
    expect(record.calibration.hash).toBe(first.hash);
    // Scored on other text: what the model made up was all calibrated on.
    expect(record.quality).toMatchObject({ text: "4 sequences of the bundled text", context: 256 });
    expect(first.events.flatMap((event) => new EventNotes().of(event))).toContain(
      "calibration: 5 sequences of 24 tokens that the model made up",
    );
    const other = await run("other", { recipe: "norm-tweaking" });
    expect([other.drew, other.hash]).toEqual([false, first.hash]);
    forget();
    const again = await run("again", { selfGenerated: { batch: 2 } });
    expect([again.drew, again.hash]).toEqual([true, first.hash]);
    expect(weightsOf("again").equals(weightsOf("first"))).toBe(true);
    for (const change of [{ seed: 2 }, { selfGenerated: { temperature: 0.5 } }, { selfGenerated: { greedy: 4 } }]) {
      expect((await run("changed", { ...change, force: true })).hash).not.toBe(first.hash);
    }
  });

  it("is planned, and left unmade, by a dry run", async () => {
    forget();
    const { events, drew, hash } = await run("dry", { dryRun: true });
    expect([drew, hash]).toEqual([false, undefined]);
    const plan = events.find((event) => event.event === "plan");
    expect(plan?.selfGenerated).toEqual({ atOnce: 5, seconds: expect.any(Number) });
    expect(plan === undefined ? "" : formatPlan(plan)).toMatch(
      /calibration: 120 tokens that the model makes up, 5 sequences at once, about /,
    );
    expect(readdirSync(place.folder)).not.toContain("cache");
    await expect(run("dry", { dryRun: true, maxMemory: "50MB" })).rejects.toThrow(/Next: .*--calibration PATH/);
  });

  it("leaves nothing where it is stopped: no tensor, no file", async () => {
    forget();
    const [live, files] = [liveHandles(), readdirSync(place.folder).sort()];
    await stopped("stopped", (event) => event.event === "progress" && "stage" in event && event.stage === MAKING);
    expect(liveHandles()).toBe(live);
    expect(readdirSync(place.folder).sort()).toEqual(files);
  });

  it("waits in the work folder for a run that is continued", async () => {
    forget();
    const whole = await run("whole");
    await stopped("cut", (event) => event.event === "window-done");
    forget();
    expect((await run("cut", { dryRun: true })).hash).toBe(whole.hash);
    const continued = await run("cut");
    expect([continued.drew, continued.hash]).toEqual([false, whole.hash]);
    expect(continued.events.some((event) => event.event === "continued")).toBe(true);
    expect(weightsOf("cut").equals(weightsOf("whole"))).toBe(true);
    expect(readdirSync(place.folder)).not.toContain("cut.work");
  });

  it("goes on from the sequences that were finished, however few", async () => {
    forget();
    const whole = await run("unbroken");
    forget();
    const making = (event: { readonly event: string }, tokens: number): boolean =>
      event.event === "progress" &&
      "stage" in event &&
      event.stage === MAKING &&
      "done" in event &&
      Number(event.done) > tokens;
    await stopped("parts", (event) => making(event, 2 * 24), { selfGenerated: { batch: 2 } });
    expect(readdirSync(join(place.folder, "parts.work")).filter((name) => name.endsWith(".ids")).length).toBe(1);
    const { events, hash } = await run("parts", { selfGenerated: { batch: 2 } });
    expect(hash).toBe(whole.hash);
    expect(events.filter((event) => making(event, -1)).every((event) => making(event, 2 * 24))).toBe(true);
  });

  it("is another one where the tokenizer begins or ends documents otherwise", async () => {
    const { hash } = await run("begun");
    const other = join(place.folder, "other-start");
    cpSync(model, other, { recursive: true });
    const path = join(other, "tokenizer_config.json");
    const config = JSON.parse(readFileSync(path, "utf8"));
    writeFileSync(path, JSON.stringify({ ...config, bos_token: "A" }));
    expect((await run("unbegun", { model: other })).hash).not.toBe(hash);
    // Without a start token documents begin with what separates them, which is the same one here.
    writeFileSync(path, JSON.stringify({ ...config, bos_token: null }));
    expect((await run("separated", { model: other })).hash).toBe(hash);
  });

  it("is part of what a saved run is told by, before it is made as well", async () => {
    forget();
    await stopped("saved", (event) => event.event === "window-done");
    let drew = false;
    heard.event = (event) => {
      if (event.event === "progress" && "stage" in event) drew ||= event.stage === MAKING;
    };
    for (const dryRun of [true, false]) {
      const other = run("saved", { dryRun, selfGenerated: { temperature: 0.5 } });
      await expect(other).rejects.toThrow(InputError);
      await expect(run("saved", { dryRun, selfGenerated: { temperature: 0.5 } })).rejects.toThrow(
        /option selfGenerated\.temperature 1 -> 0\.5/,
      );
    }
    expect(drew).toBe(false);
  });

  it("needs no tokenizer, and reaches the longest context", async () => {
    forget();
    const bare = join(place.folder, "bare");
    cpSync(model, bare, { recursive: true, filter: (path) => !basename(path).startsWith("tokenizer") });
    const { events } = await run("ids", { model: bare, samples: 1, context: 256 });
    expect(events.find((event) => event.event === "calibrate")).toMatchObject({ sequences: 1, context: 256 });
    const warnings = events.flatMap((event) => (event.event === "warning" ? [event.message] : []));
    expect(warnings).toEqual([expect.stringMatching(/no tokenizer\.json/)]);
    const latin = await run("latin", { model: bare, samples: 1, context: 256, selfGenerated: { scripts: ["Latin"] } });
    expect(latin.events.flatMap((event) => (event.event === "warning" ? [event.message] : []))[1]).toMatch(
      /can't be told what script a token is of/,
    );
  });

  it("is refused where no token is of the script, and a path of that name is a path", async () => {
    await expect(run("greek", { selfGenerated: { scripts: ["Hangul"] } })).rejects.toThrow(CalibrationError);
    await expect(run("path", { calibration: ["./self-generated"] })).rejects.toThrow(
      /self-generated: there is no such file/,
    );
  });
});
