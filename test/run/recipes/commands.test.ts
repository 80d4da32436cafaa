import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { recipeRuns } from "../../../scripts/stress/recipe-runs.mjs";
import { formatNames } from "../../../src/format/exporters.js";
import { recipeNames } from "../../../src/recipe/job/recipe-names.js";
import { crossblockHere, eventsHere } from "../../fixtures/in-process/cli-in-process.js";
import { writeSmallLlama } from "../../fixtures/prepared/small-llama.js";
import { runCli } from "../../fixtures/run-cli.js";
import { type Workplace, workplace } from "../../fixtures/sample-text.js";

let place: Workplace;
let model = "";
beforeAll(async () => {
  place = workplace(120);
  model = join(place.folder, "model");
  await writeSmallLlama(model, { blocks: 3 });
});
afterAll(() => place[Symbol.dispose]());

/** A run's arguments, and what it writes to. */
function command(name: string, given: readonly string[], out: string): string[] {
  const text = name === "rtn" ? [] : ["--calibration", place.text, "--samples", "6", "--context", "32"];
  const places = ["--out", out, "--device", "cpu", "--deterministic", "--no-score", "--no-report"];
  // Ranges are looked for among few: what a run holds, continues from and hands to formats is the same.
  return ["quantize", model, ...text, ...places, ...given, "--set", "range.candidates=6"];
}

/** Hashes of all codes, scales and other tensors, and the clips. */
function bitsOf(out: string): unknown {
  const { fingerprints, activations } = JSON.parse(readFileSync(join(out, "crossblock.json"), "utf8"));
  return { fingerprints, activations };
}

it("every recipe of language models is among these runs", () => {
  const graphs = ["brecq", "tfmq"];
  const names = recipeRuns.map(([name]) => name);
  expect(recipeNames.filter((name) => !names.includes(name) && !graphs.includes(name))).toEqual([]);
});

describe.each(recipeRuns)("%s by its command", (name, ...given) => {
  let out = "";
  beforeAll(async () => {
    out = join(place.folder, name);
    const { code, stderr } = await crossblockHere(command(name, given, out));
    expect([code, code === 0 ? "" : stderr]).toEqual([0, ""]);
  });

  it("is killed, continues behind the windows that were done, and gives the same bits", async () => {
    const again = join(place.folder, `${name}-killed`);
    const killed = await runCli(command(name, given, again), ({ event }, child) => {
      if (event === "window-done") child.kill("SIGKILL");
    });
    // A process that is done before the signal comes leaves the result.
    const ended = existsSync(join(again, "crossblock.json"));
    expect(ended || killed.signal === "SIGKILL").toBe(true);
    const { code, events } = await eventsHere(command(name, given, again));
    expect(code).toBe(0);
    if (!ended) {
      const continued = events.find(({ event }) => event === "continued")?.["window"];
      const done = killed.events.filter(({ event }) => event === "window-done").length;
      expect(continued).toBeGreaterThanOrEqual(done);
    }
    expect(bitsOf(again)).toEqual(bitsOf(out));
  });

  it("is written to every format that holds its codes, with certificate and the same logits, and refused by the others", async () => {
    const exports = join(place.folder, `${name}-exports`);
    const scored = async (path: string): Promise<unknown> => {
      const text = ["--text", place.text, "--context", "32", "--limit", "2", "--device", "cpu"];
      const { events, stderr } = await eventsHere(["eval", path, ...text]);
      return events.find(({ event }) => event === "perplexity")?.["value"] ?? stderr;
    };
    const expected = await scored(out);
    expect(expected).toBeGreaterThan(1);
    const written: string[] = [];
    for (const format of formatNames) {
      const told = await crossblockHere(["export", out, "--format", format, "--out", exports]);
      if (told.code !== 0) {
        // Nothing half-written, and the nearest that works.
        expect([format, told.code, existsSync(join(exports, format))]).toEqual([format, 2, false]);
        expect(told.stderr).toMatch(/next: .*--(format|recipe|scheme|reencode)/);
        continue;
      }
      written.push(format);
      const verified = await crossblockHere(["verify", out, "--format", format, "--export", exports]);
      // It says how far it is where it takes long, as on a busy machine.
      expect([format, verified.code, verified.code === 0 ? "" : verified.stderr]).toEqual([format, 0, ""]);
      const folder = join(exports, format);
      // A file of GGUF and one of ONNX are other runtimes' to compute; the certificate compares each of their tensors.
      if (!readdirSync(folder).includes("config.json") || format === "onnx") continue;
      expect([format, await scored(folder)]).toEqual([format, expected]);
    }
    const all = formatNames.filter((format) => format !== "qdq");
    expect(written).toEqual(name === "slim" ? ["compressed-tensors"] : all);
  });
});
