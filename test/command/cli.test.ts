import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findLibtorch } from "../../native/build/build.mjs";
import { writeCutModel } from "../fixtures/cut-model.js";
import { crossblockHere } from "../fixtures/in-process/cli-in-process.js";
import { smallQuantize } from "../fixtures/prepared/small-quantize.js";
import { type ProgramOutcome, startProgram } from "../fixtures/run-program.js";
import { bundledModel, type Workplace, workplace } from "../fixtures/sample-text.js";

const crossblock = (...args: readonly string[]): Promise<ProgramOutcome> => startProgram(args).ended;

/** Settings with which a window begins as soon as may be. */
const quick = ["rounding.start=rtn", "range.candidates=6"];

function lines(stdout: string): Record<string, unknown>[] {
  return stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe("crossblock", () => {
  let place: Workplace;
  let model = "";
  let out = "";
  let run: ProgramOutcome;
  const quantize = (...args: readonly string[]): string[] => smallQuantize(model, place.text, args);
  /** Where nothing appears: what is refused writes nothing. */
  const unused = (): string => join(place.folder, "unused");
  beforeAll(async () => {
    place = workplace(200);
    model = join(place.folder, "model");
    await writeCutModel(model, 2);
    out = join(place.folder, "result");
    run = await crossblock(
      ...quantize("--out", out, "--json"),
      ...["--set", "window.epochs=1", "window.size=1", "window.overlap=0", "endToEnd.epochs=2", ...quick],
    );
  });
  afterAll(() => place[Symbol.dispose]());

  it("quantize --json prints events only, the last one done, and progress on standard error", () => {
    expect(run.code, run.stderr).toBe(0);
    const events = lines(run.stdout);
    expect(events[0]).toMatchObject({ event: "run", schemaVersion: 2, command: "quantize" });
    const times = events.map(({ time }) => Date.parse(String(time)));
    expect(times.every((time, i) => time >= (times[i - 1] ?? 0))).toBe(true);
    const record = JSON.parse(readFileSync(join(out, "crossblock.json"), "utf8"));
    expect(record).toMatchObject({ schemaVersion: 2, run: events[0]?.["id"] });
    expect(record.timeline.map(({ stage }: { readonly stage: string }) => stage)).toEqual([
      "planning",
      "reading text",
      "checking weights",
      "windows",
      "end-to-end",
      "scoring",
      "sample texts",
      "writing compressed-tensors",
    ]);
    const { steps } = events.findLast(({ event, window }) => event === "step" && window === 0) ?? {};
    expect(record.windows[0]).toMatchObject({ losses: { steps } });
    expect(Date.parse(record.windows[1].start)).toBeGreaterThanOrEqual(Date.parse(record.windows[0].start));
    expect(events[1]).toMatchObject({
      event: "plan",
      windows: [
        [0, 0],
        [1, 1],
        [0, 1],
        [0, 1],
      ],
    });
    const { event, out: folder, seconds, peakMemoryBytes } = events.at(-1) ?? {};
    expect({ event, folder }).toEqual({ event: "done", folder: out });
    expect(seconds).toBeGreaterThan(0);
    expect(peakMemoryBytes).toBeGreaterThan(5e7);
    expect(run.stderr).toContain("end to end, epoch 2 of 2");
  });

  it("eval --json ends with the perplexity", async () => {
    const args = ["eval", out, "--text", place.text, "--context", "64", "--json"];
    const { code, stdout, stderr } = await crossblockHere(args);
    expect(code, stderr).toBe(0);
    const last = lines(stdout).at(-1);
    expect(Object.keys(last ?? {})).toEqual([
      "event",
      "value",
      "tokens",
      "context",
      "sequences",
      "ofSequences",
      "time",
    ]);
    expect(last).toMatchObject({ event: "perplexity", context: 64 });
  });

  it("generate prints the prompt and its continuation", async () => {
    const { code, stdout } = await crossblockHere([
      "generate",
      out,
      "--prompt",
      "The Congress of the",
      "--tokens",
      "6",
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^The Congress of the.+\n$/s);
    const sampled = ["generate", out, "--prompt", "We", "--tokens", "6", "--temperature", "1", "--seed", "5"];
    expect((await crossblockHere(sampled)).stdout).toBe((await crossblockHere(sampled)).stdout);
  });

  it("inspect shows the quantized Linears, for people and as JSON", async () => {
    const text = await crossblockHere(["inspect", out]);
    const all = await crossblockHere(["inspect", out, "--tensors"]);
    const json = await crossblockHere(["inspect", out, "--json"]);
    expect(text.stdout).toMatch(/^14 +1,572,864 +W2g64 sym +\S+ kB +2\.250 +-\S+ to \S+ +\S{4}$/m);
    expect(text.stdout).not.toContain("down_proj");
    expect(all.stdout).toMatch(/layers\.0\.mlp\.down_proj +\[256, 768\] +W2g64 sym +\S+ kB +2\.250/);
    const tensors = lines(json.stdout).filter(({ event }) => event === "tensor");
    const coded = tensors.filter(({ histogram }) => histogram !== null);
    expect(coded.length).toBe(14);
    for (const { shape, histogram } of coded as { shape: number[]; histogram: number[] }[]) {
      expect(histogram.reduce((a, b) => a + b)).toBe((shape[0] ?? 0) * (shape[1] ?? 0));
    }
    expect(lines(json.stdout).at(-1)).toMatchObject({ event: "inspection", quantizedBitsPerWeight: 2.25 });
  });

  it("doctor tells what it found", async () => {
    // As it is for users: it looks for libtorch itself, unless this machine's is one that only the variable names.
    const { CROSSBLOCK_LIBTORCH: chosen, ...env } = process.env;
    const found = findLibtorch(env)?.root === chosen;
    const { code, stdout } = await startProgram(["doctor", "--json"], found ? { env } : {}).ended;
    expect(code).toBe(0);
    expect(lines(stdout).at(-1)).toMatchObject({ event: "doctor", problems: expect.any(Array) });
  });

  it("--dry-run prints the plan and writes nothing", async () => {
    const target = join(place.folder, "none");
    const { code, stdout } = await crossblockHere(quantize("--out", target, "--dry-run"));
    expect(code).toBe(0);
    for (const row of ["windows:", "trained:", "device:", "host:", "disk:", "time:"]) expect(stdout).toContain(row);
    expect(existsSync(target)).toBe(false);
  });

  it("--config takes a file, and --set wins over it", async () => {
    const config = join(place.folder, "options.jsonc");
    writeFileSync(
      config,
      `{ "model": ${JSON.stringify(bundledModel)}, "scheme": "W4A16", // four bits\n "window": { "size": 3, "overlap": 0 } }`,
    );
    const text = ["--calibration", place.text, "--samples", "2", "--context", "64"];
    const args = ["--config", config, ...text, "--out", unused(), "--dry-run", "--json"];
    const { stdout, stderr } = await crossblockHere([
      "quantize",
      ...args,
      ...["--set", "window.overlap=1", "endToEnd.epochs=1"],
    ]);
    expect(lines(stdout)[1], stderr).toMatchObject({
      scheme: "W4A16",
      windows: [
        [0, 2],
        [2, 4],
        [4, 6],
        [5, 7],
        [0, 7],
      ],
    });
  });

  it("--config may have a section for each recipe, and what the chosen one does not read is refused", async () => {
    const config = join(place.folder, "shared.jsonc");
    const sections = '"recipes": { "rtn": { "range": { "candidates": 20 } }, "cbq": { "cfp": { "weights": true } } }';
    const file = (more: string): void =>
      writeFileSync(config, `{ "model": ${JSON.stringify(bundledModel)}, "scheme": "W4A16", ${sections}${more} }`);
    file("");
    const args = ["quantize", "--config", config, "--out", "x", "--dry-run", "--json"];
    const shared = await crossblockHere([...args, "--recipe", "rtn"]);
    expect(lines(shared.stdout)[1], shared.stderr).toMatchObject({ event: "plan", recipe: "rtn" });
    const set = await crossblockHere([...args, "--recipe", "rtn", "--set", "rates.scale=0.1"]);
    expect(set.stderr).toMatch(/"rates\.scale".*rtn.*\n.*it is for cbq\n.*next: .*--recipe cbq/);
    file(', "cfp": { "weights": true }');
    const outside = await crossblockHere([...args, "--recipe", "rtn"]);
    expect([outside.code, outside.stderr]).toEqual([2, expect.stringMatching(/"cfp\.weights"/)]);
  });

  it("--help-all adds the settings of the recipe beside it, and takes a preset and other settings into account", async () => {
    const help = await crossblockHere(["quantize", "--recipe", "gptq", "--help-all"]);
    expect(help.code, help.stderr).toBe(0);
    expect(help.stdout).toMatch(
      /Usage: crossblock quantize[\s\S]*Settings that the recipe gptq reads[\s\S]*gptq\.damping/,
    );
    expect(help.stdout).not.toContain("rounding.rank");
    const lora = await crossblockHere(["quantize", "--set", "rounding.kind=lora", "--help-all"]);
    expect(lora.stdout).toMatch(/rates\.rounding <number>\n +Adam rate[^[]*\(default: 0\.1/);
    const wrong = await crossblockHere(["quantize", "--recipe", "gptg", "--help-all"]);
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringMatching(/did you mean "gptq"/) });
  });

  it("lists recipes with what each is for, and prints the schema of configuration files", async () => {
    const { stdout } = await crossblockHere(["recipes"]);
    expect(stdout).toMatch(/^cbq \(the default\): CBQ: [^:]*\n\s+trains +roundings[\s\S]*\n {2}takes /m);
    const names = lines((await crossblockHere(["recipes", "--json"])).stdout).map(({ name }) => name);
    expect(names).toEqual([
      "rtn",
      "gptq",
      "slim",
      "boa",
      "aespa",
      "norm-tweaking",
      "affine-quant",
      "kurtosis",
      "l4q",
      "tfmq",
      "efficient-qat",
      "brecq",
      "cbq",
    ]);
    const schema = JSON.parse((await crossblockHere(["schema"])).stdout) as object;
    expect(schema).toMatchObject({ properties: { scheme: { type: "string" }, recipes: { type: "object" } } });
  });

  it("lists every command without one, and suggests the one that was meant", async () => {
    const { stdout } = await crossblockHere(["--help"]);
    const names = [...stdout.matchAll(/^ {2}(\w+) {2,}\S/gm)].map(([, name]) => name);
    expect(names).toEqual([
      "quantize",
      "export",
      "verify",
      "eval",
      "generate",
      "chat",
      "push",
      "inspect",
      "recipes",
      "schema",
      "doctor",
    ]);
    const { code, stderr } = await crossblockHere(["quantise", model]);
    expect(stderr).toMatch(/unknown command 'quantise'\n\(Did you mean quantize\?\)\n+next: see `crossblock --help`/);
    expect(code).toBe(2);
  });

  it("refuses with exit code 2 on standard error, an unknown flag too", async () => {
    const refused = await crossblock("eval", bundledModel, "--text", "/none.txt");
    expect(refused).toMatchObject({ code: 2, stdout: "" });
    expect(refused.stderr).toMatch(/none\.txt.*\n.*next: check the path/);
    const flag = await crossblock(...quantize("--out", unused(), "--sample", "2"));
    expect(flag).toMatchObject({ code: 2, stdout: "" });
    expect(flag.stderr).toMatch(/unknown option '--sample'.*\n.*Did you mean.*\n+.*next: /);
  });

  it("prints an error as a JSON line too", async () => {
    const { code, stdout } = await crossblockHere(["eval", bundledModel, "--text", "/none.txt", "--json"]);
    expect(code).toBe(2);
    expect(lines(stdout).at(-1)).toMatchObject({ event: "error", name: "CalibrationError", exitCode: 2 });
  });

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)(
    "%s in the midst of a window ends a run with code %i and nothing half-written",
    async (signal, expected) => {
      mkdirSync(join(place.folder, signal));
      // More epochs than any machine trains before the signal arrives.
      const endless = ["--set", "window.epochs=100000", ...quick];
      const run = startProgram(quantize("--out", join(place.folder, signal, "result"), "--json", ...endless));
      await run.wrote("stdout", '"event":"step"');
      run.child.kill(signal);
      const { code, stderr } = await run.ended;
      expect(code, stderr).toBe(expected);
      expect(readdirSync(join(place.folder, signal))).toEqual([]);
    },
  );
});
