import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { eventsHere } from "../../fixtures/in-process/cli-in-process.js";
import { type ShortRuns, shortRuns } from "../../fixtures/prepared/short-runs.js";
import type { ProgramOutcome } from "../../fixtures/run-program.js";

let runs: ShortRuns;
beforeAll(async () => {
  runs = await shortRuns();
});
afterAll(() => runs[Symbol.dispose]());

describe("paths that begin with ~", () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it("mean the home folder, as flags and in a configuration file", async () => {
    const home = runs.at("home");
    mkdirSync(home);
    cpSync(runs.model, join(home, "m"), { recursive: true });
    vi.stubEnv("HOME", home);
    vi.stubEnv("USERPROFILE", home);
    const run = (...args: readonly string[]): Promise<ProgramOutcome> => runs.shown(args);
    const args = ["--scheme", "W4A16g32", "--recipe", "rtn", "--finish", "none", "--device", "cpu"];
    const first = await run("quantize", "~/m", "--out=~/small", ...args);
    expect(first.code, first.stderr).toBe(0);
    writeFileSync(runs.at("options.json"), JSON.stringify({ model: "~/m", out: "~/from file" }));
    const second = await run("quantize", "--config", runs.at("options.json"), ...args);
    expect(second.code, second.stderr).toBe(0);
    expect((await run("export", "~/small", "--format=gptq", "--out=~/e")).code).toBe(0);
    expect((await run("verify", "~/small", "--export=~/e/gptq", "--no-runtimes")).code).toBe(0);
    expect((await run("inspect", "~/small")).code).toBe(0);
    writeFileSync(join(home, "t.txt"), readFileSync(runs.text));
    const judged = await run("eval", "~/small", "--text=~/t.txt", "--reference=~/m", "--context", "64");
    expect(judged.code, judged.stderr).toBe(0);
    expect(existsSync(join(home, "from file", "crossblock.json"))).toBe(true);
    expect(readdirSync(runs.folder)).not.toContain("~");
    const other = await run("quantize", "~/m", "--out=~nobody/x", ...args);
    expect(other.stderr).toMatch(/~nobody is the home folder of another user.*\n.*next: write the whole path/);
    expect(other.code).toBe(2);
  });
});

describe("eval", () => {
  it("names a path that is not there before it loads the model", async () => {
    for (const args of [
      ["--text", "/none.txt"],
      ["--choices", "/none.jsonl"],
      ["--text", runs.text, "--reference", "/none"],
    ]) {
      const { events, stderr } = await eventsHere(["eval", runs.at("no model either"), ...args]);
      expect(stderr).toMatch(/\/none/);
      expect(events.at(-1)).toMatchObject({ event: "error", exitCode: 2 });
    }
  });

  it("takes windows as long as the model was made for", async () => {
    const { events } = await eventsHere(["eval", runs.model, "--text", runs.text, "--reference", runs.model]);
    expect(events.at(-1)).toMatchObject({ event: "perplexity", context: 256 });
    const { stderr } = await eventsHere(["eval", runs.model, "--text", runs.text, "--context", "300"]);
    expect(stderr).toMatch(/next: use --context 256 or less/);
  });
});
