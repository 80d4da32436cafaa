import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RunControl } from "../src/run/run-control.js";
import { type CliOutcome, runCli } from "./fixtures/run-cli.js";
import { bundledModel, type Workplace, workplace } from "./fixtures/sample-text.js";

let place: Workplace;
beforeAll(() => {
  place = workplace(4000);
});
afterAll(() => place[Symbol.dispose]());

const quantize = (out: string, ...settings: readonly string[]): string[] => [
  "quantize",
  bundledModel,
  ...["--scheme", "W2A16g64", "--calibration", place.text, "--samples", "8", "--context", "512"],
  ...["--out", join(place.folder, out), "--set", "window.batch=8", ...settings],
];

/** Runs until the first event of a kind, sends signals, and tells how long the end took. */
async function stopAt(
  event: string,
  signals: readonly NodeJS.Signals[],
  args: readonly string[],
): Promise<{ readonly outcome: CliOutcome; readonly milliseconds: number; readonly signal: string | null }> {
  let stopped = 0;
  let signal: string | null = null;
  const outcome = await runCli(args, (seen, child) => {
    if (stopped !== 0 || seen.event !== event) return;
    stopped = performance.now();
    child.once("exit", (_code, name) => {
      signal = name;
    });
    for (const [i, name] of signals.entries()) setTimeout(() => child.kill(name), i * 150);
  });
  return { outcome, milliseconds: performance.now() - stopped, signal };
}

describe("a run that is interrupted", () => {
  it("keeps what is finished, says how to go on, and goes on", async () => {
    const args = quantize("kept", "window.epochs=1", "window.batch=4");
    const { outcome, milliseconds } = await stopAt("window-done", ["SIGTERM"], args);
    expect(milliseconds).toBeLessThan(2500);
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

  it("ends at once on the second signal, inside a step of many seconds too", async () => {
    const { outcome, milliseconds, signal } = await stopAt("window-start", ["SIGINT", "SIGINT"], quantize("twice"));
    expect(milliseconds).toBeLessThan(1000);
    // A shell counts both as 130.
    expect(outcome.code === 130 || signal === "SIGINT").toBe(true);
  });
});

describe("a worker that is terminated while it trains", () => {
  it("leaves the process alive", async () => {
    const [{ resolveOptions }, script] = await Promise.all([
      import("../src/run/options.js"),
      new URL("../dist/run/worker.js", import.meta.url),
    ]);
    for (const delay of [0, 60, 130]) {
      const worker = new Worker(script);
      const out = join(place.folder, `terminated-${delay}`);
      const options = resolveOptions({
        model: bundledModel,
        scheme: "W2A16g64",
        calibration: [place.text],
        out,
        samples: 8,
        context: 64,
        window: { epochs: 50 },
      });
      const control = new RunControl();
      const folders = { staging: out, work: `${out}.work` };
      const request = { type: "request", id: 1, method: "quantize", parameters: { options, folders } };
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
