import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RunControl } from "../../src/run/engine/run-control.js";
import { writeCutModel } from "../fixtures/cut-model.js";
import { runCli } from "../fixtures/run-cli.js";
import { startProgram } from "../fixtures/run-program.js";
import { type Workplace, workplace } from "../fixtures/sample-text.js";

let place: Workplace;
let model = "";
beforeAll(async () => {
  place = workplace(2000);
  model = join(place.folder, "model");
  await writeCutModel(model, 3);
});
afterAll(() => place[Symbol.dispose]());

const quantize = (out: string, ...settings: readonly string[]): string[] => [
  "quantize",
  model,
  ...["--scheme", "W2A16g64", "--calibration", place.text, "--samples", "8"],
  // A window begins as soon as may be.
  ...["--out", join(place.folder, out), "--set", "rounding.start=rtn", "range.candidates=6", ...settings],
];

describe("a run that is interrupted", () => {
  it("keeps what is finished, says how to go on, and goes on", async () => {
    const args = quantize("kept", "--context", "64", "--set", "window.epochs=1", "window.batch=4");
    let stopped = false;
    const outcome = await runCli(args, ({ event }, child) => {
      if (event === "window-done" && !stopped) stopped = child.kill("SIGTERM");
    });
    expect(outcome.code, outcome.stderr).toBe(143);
    expect(outcome.stderr).toContain("run the same command again: it continues");
    expect(readdirSync(join(place.folder, "kept.work")).some((name) => name.startsWith("window-00000"))).toBe(true);
    let continued = false;
    await runCli(args, ({ event }, child) => {
      continued ||= event === "continued";
      if (continued) child.kill("SIGINT");
    });
    expect(continued).toBe(true);
  });

  it("ends on the second signal, inside a step of many seconds too", async () => {
    const run = startProgram([...quantize("twice", "--context", "512", "--set", "window.batch=8"), "--json"]);
    await run.wrote("stdout", '"event":"window-start"');
    run.child.kill("SIGINT");
    await run.wrote("stderr", "once more to stop at once");
    run.child.kill("SIGTERM");
    const { code, signal } = await run.ended;
    // By the second signal, which has another name so that it can be told, unless the run came to an end before that arrived.
    expect(code === 130 || signal === "SIGTERM" || signal === "SIGINT").toBe(true);
  });
});

describe("a command that does not heed its signal", () => {
  const deaf = [process.execPath, fileURLToPath(new URL("../fixtures/deaf-command.mjs", import.meta.url))];

  it("ends on the second signal", async () => {
    const run = startProgram([], { command: deaf });
    await run.wrote("stdout", "working");
    run.child.kill("SIGINT");
    await run.wrote("stderr", "once more to stop at once");
    run.child.kill("SIGTERM");
    expect((await run.ended).signal).toBe("SIGTERM");
  });

  it("ends on the first one once patience is over", async () => {
    const run = startProgram(["1"], { command: deaf });
    await run.wrote("stdout", "working");
    run.child.kill("SIGTERM");
    expect((await run.ended).signal).toBe("SIGTERM");
  });
});

describe("a worker that is terminated while it trains", () => {
  it("leaves the process alive", async () => {
    const [{ resolveOptions }, script] = await Promise.all([
      import("../../src/run/options/options.js"),
      new URL("../../dist/run/worker/worker.js", import.meta.url),
    ]);
    // Milliseconds behind the end of a step: different places in the next one, whichever they are.
    for (const delay of [0, 60, 130]) {
      const worker = new Worker(script);
      const out = join(place.folder, `terminated-${delay}`);
      const given = {
        model,
        scheme: "W2A16g64",
        calibration: [place.text],
        out,
        samples: 8,
        context: 64,
        window: { epochs: 50 },
        rounding: { start: "rtn" },
        range: { candidates: 6 },
      };
      const options = resolveOptions(given);
      const control = new RunControl();
      const folders = { staging: out, work: `${out}.work` };
      const request = { type: "request", id: 1, method: "quantize", parameters: { options, given, folders, run: out } };
      worker.postMessage({ ...request, control: control.buffer });
      await new Promise<void>((resolve, reject) => {
        worker.on("message", ({ type, event, error }) => {
          if (type === "error") reject(new Error(error.message));
          if (type === "event") control.consumed();
          if (event?.event === "step") resolve();
        });
      });
      await new Promise((resolve) => setTimeout(resolve, delay));
      expect(await worker.terminate()).toBe(1);
    }
  });
});
