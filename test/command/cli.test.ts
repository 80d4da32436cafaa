import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeCutModel } from "../fixtures/cut-model.js";
import { type ProgramOutcome, startProgram } from "../fixtures/run-program.js";
import { bundledModel, type Workplace, workplace } from "../fixtures/sample-text.js";

const crossblock = (...args: readonly string[]): Promise<ProgramOutcome> => startProgram(args).ended;

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
  const quantize = (...args: readonly string[]): string[] => [
    "quantize",
    model,
    ...["--scheme", "W2A16g64", "--calibration", place.text, "--samples", "2", "--context", "64"],
    ...args,
  ];
  /** Where nothing appears: what is refused writes nothing. */
  const unused = (): string => join(place.folder, "unused");
  beforeAll(async () => {
    place = workplace(200);
    model = join(place.folder, "model");
    await writeCutModel(model, 3);
    out = join(place.folder, "result");
    run = await crossblock(
      ...quantize("--out", out, "--json"),
      ...["--set", "window.epochs=1", "window.size=1", "window.overlap=0", "endToEnd.epochs=2"],
    );
  });
  afterAll(() => place[Symbol.dispose]());

  it("quantize --json prints events only, the last one done, and progress on standard error", () => {
    expect(run.code, run.stderr).toBe(0);
    const events = lines(run.stdout);
    expect(events[0]).toMatchObject({
      event: "plan",
      windows: [
        [0, 0],
        [1, 1],
        [2, 2],
        [0, 2],
        [0, 2],
      ],
    });
    const { event, out: folder, seconds, peakMemoryBytes } = events.at(-1) ?? {};
    expect({ event, folder }).toEqual({ event: "done", folder: out });
    expect(seconds).toBeGreaterThan(0);
    expect(peakMemoryBytes).toBeGreaterThan(5e7);
    expect(run.stderr).toContain("window 5 of 5");
  });

  it("eval --json ends with the perplexity", async () => {
    const { code, stdout, stderr } = await crossblock("eval", out, "--text", place.text, "--context", "64", "--json");
    expect(code, stderr).toBe(0);
    const last = lines(stdout).at(-1);
    expect(Object.keys(last ?? {})).toEqual(["event", "value", "tokens", "context"]);
    expect(last).toMatchObject({ event: "perplexity", context: 64 });
  });

  it("generate prints the prompt and its continuation", async () => {
    const { code, stdout } = await crossblock("generate", out, "--prompt", "The Congress of the", "--tokens", "6");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^The Congress of the.+\n$/s);
    const sampled = ["generate", out, "--prompt", "We", "--tokens", "6", "--temperature", "1", "--seed", "5"];
    const [first, second] = await Promise.all([crossblock(...sampled), crossblock(...sampled)]);
    expect(first.stdout).toBe(second.stdout);
  });

  it("inspect shows the quantized Linears, for people and as JSON", async () => {
    const [text, all, json] = await Promise.all([
      crossblock("inspect", out),
      crossblock("inspect", out, "--tensors"),
      crossblock("inspect", out, "--json"),
    ]);
    expect(text.stdout).toMatch(/^21 +2,359,296 +W2g64 sym +\S+ kB +2\.250 +-\S+ to \S+ +\S{4}$/m);
    expect(text.stdout).not.toContain("down_proj");
    expect(all.stdout).toMatch(/layers\.0\.mlp\.down_proj +\[256, 768\] +W2g64 sym +\S+ kB +2\.250/);
    const tensors = lines(json.stdout).filter(({ event }) => event === "tensor");
    const coded = tensors.filter(({ histogram }) => histogram !== null);
    expect(coded.length).toBe(21);
    for (const { shape, histogram } of coded as { shape: number[]; histogram: number[] }[]) {
      expect(histogram.reduce((a, b) => a + b)).toBe((shape[0] ?? 0) * (shape[1] ?? 0));
    }
    expect(lines(json.stdout).at(-1)).toMatchObject({ event: "inspection", quantizedBitsPerWeight: 2.25 });
  });

  it("doctor tells what it found", async () => {
    const { code, stdout } = await crossblock("doctor", "--json");
    expect(code).toBe(0);
    expect(lines(stdout).at(-1)).toMatchObject({ event: "doctor" });
  });

  it("--dry-run prints the plan and writes nothing", async () => {
    const target = join(place.folder, "none");
    const { code, stdout } = await crossblock(...quantize("--out", target, "--dry-run"));
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
    const { stdout, stderr } = await crossblock("quantize", ...args, "--set", "window.overlap=1", "endToEnd.epochs=1");
    expect(lines(stdout)[0], stderr).toMatchObject({
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
    const shared = await crossblock(...args, "--recipe", "rtn");
    expect(lines(shared.stdout)[0], shared.stderr).toMatchObject({ event: "plan", recipe: "rtn" });
    const set = await crossblock(...args, "--recipe", "rtn", "--set", "rates.scale=0.1");
    expect(set.stderr).toMatch(/"rates\.scale".*rtn.*\n.*it is for cbq\n.*next: .*--recipe cbq/);
    file(', "cfp": { "weights": true }');
    const outside = await crossblock(...args, "--recipe", "rtn");
    expect([outside.code, outside.stderr]).toEqual([2, expect.stringMatching(/"cfp\.weights"/)]);
  });

  it("--help has a line with type and default for every option", async () => {
    const { stdout } = await crossblock("quantize", "--help");
    expect(stdout).toMatch(/--samples <n> +calibration sequences \(default: 128\)/);
    expect(stdout).toMatch(/window\.loss\.l2 +.*\(default: "token"; "plain" with --preset paper\) <plain\|token>/);
    expect(stdout).toMatch(/rounding\.start +.*default: "gptq"; "rtn" with rounding\.kind=lora;.* \[cbq\]$/m);
    expect(stdout).toMatch(/rates\.rounding +.*default: 0\.005; 0\.1 with rounding\.kind=lora; 0\.03 with/);
    expect(stdout).toMatch(/cfp\.exponent +.*default: 0\.5; 0\.7 with cfp\.detection=msmodelslim/);
    expect(stdout).toMatch(/--recipe <name> .*<rtn\|gptq\|norm-tweaking\|efficient-qat\|cbq>/);
    expect(stdout).toMatch(/endToEnd\.epochs +.*\[with end-to-end training\]/);
  });

  describe("refuses with exit code 2, and names the next action", () => {
    const damaged = (name: string, change: (folder: string) => void): string => {
      const folder = join(place.folder, name);
      cpSync(bundledModel, folder, { recursive: true });
      change(folder);
      return folder;
    };
    const edit = (folder: string, file: string, change: (bytes: Buffer) => Buffer): void => {
      const path = join(folder, file);
      writeFileSync(path, change(readFileSync(path)));
    };
    const cases: readonly (readonly [name: string, args: () => readonly string[], message: RegExp])[] = [
      [
        "an unknown option",
        () => quantize("--out", unused(), "--set", "window.sise=2"),
        /"window\.sise".*\n.*"window\.size"/,
      ],
      ["an unknown flag", () => quantize("--out", unused(), "--sample", "2"), /unknown option '--sample'/],
      ["a missing flag", () => ["quantize", bundledModel, "--scheme", "W2A16"], /option "out": is required/],
      ["a value of another type", () => quantize("--out", unused(), "--samples", "many"), /option "samples".*many/],
      ["a group that does not divide", () => quantize("--out", unused(), "--scheme", "W2A16g100"), /groups of 100/],
      ["a model that is not there", () => ["eval", join(place.folder, "no-model"), "--text", place.text], /next: /],
      [
        "a text that is not there",
        () => ["eval", bundledModel, "--text", "/none.txt"],
        /none\.txt.*\n.*next: check the path/,
      ],
      ["a configuration that is not there", () => quantize("--out", unused(), "--config", "none.json"), /none\.json/],
      ["too little text", () => quantize("--out", unused(), "--samples", "9999"), /--samples \d+/],
      ["windows beyond the model's context", () => quantize("--out", unused(), "--context", "4096"), /--context 1024/],
      [
        "a folder that is not ours",
        () => {
          const thesis = join(place.folder, "thesis");
          mkdirSync(thesis, { recursive: true });
          writeFileSync(join(thesis, "thesis.txt"), "years of work");
          return quantize("--out", thesis);
        },
        /thesis\.txt.*\n.*--force, which moves/,
      ],
      [
        "a folder that holds the model and the text",
        () => quantize("--out", place.folder),
        /holds the (model|calibration text).*\n.*new folder/,
      ],
      [
        "a number that is none",
        () => ["generate", bundledModel, "--prompt", "a", "--temperature", "hot"],
        /--temperature/,
      ],
      [
        "a result as a source",
        () => ["quantize", out, "--scheme", "W4A16", "--recipe", "rtn", "--out", unused()],
        /quantized already/,
      ],
      [
        "a truncated checkpoint",
        () => {
          const cut = damaged("cut", (folder) =>
            edit(folder, "model.safetensors", (bytes) => bytes.subarray(0, 9_000_000)),
          );
          return ["eval", cut, "--text", place.text];
        },
        /model\.safetensors/,
      ],
      [
        "a weight that is not a number, by name",
        () => {
          const poison = (bytes: Buffer): Buffer => {
            const header = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE())).toString()) as Record<
              string,
              { data_offsets: [number, number] }
            >;
            const offset = header["model.layers.3.mlp.up_proj.weight"]?.data_offsets[0] ?? 0;
            bytes.writeUInt16LE(0x7fc0, 8 + Number(bytes.readBigUInt64LE()) + offset);
            return bytes;
          };
          const nan = damaged("nan", (folder) => edit(folder, "model.safetensors", poison));
          return ["quantize", nan, "--scheme", "W4A16", "--recipe", "rtn", "--out", join(place.folder, "x")];
        },
        /model\.layers\.3\.mlp\.up_proj\.weight.*NaN/,
      ],
      [
        "a configuration without a key",
        () => {
          const without = (bytes: Buffer): Buffer =>
            Buffer.from(bytes.toString().replace('"hidden_size"', '"hiden_size"'));
          return ["eval", damaged("key", (folder) => edit(folder, "config.json", without)), "--text", place.text];
        },
        /hidden_size/,
      ],
      [
        "a tokenizer that does not match",
        () => {
          const smaller = (bytes: Buffer): Buffer =>
            Buffer.from(bytes.toString().replace('"vocab_size": 4096', '"vocab_size": 4000'));
          return [
            "eval",
            damaged("vocabulary", (folder) => edit(folder, "config.json", smaller)),
            "--text",
            place.text,
          ];
        },
        /4096|4000/,
      ],
      [
        "empty text",
        () => {
          writeFileSync(join(place.folder, "empty.txt"), " \n");
          return ["eval", bundledModel, "--text", join(place.folder, "empty.txt")];
        },
        /empty\.txt/,
      ],
    ];
    it.each(cases)("%s", async (_name, args, message) => {
      const { code, stderr } = await crossblock(...args());
      expect(stderr).toMatch(message);
      expect(stderr).toMatch(/next: /i);
      expect(code, stderr).toBe(2);
      expect(stderr).not.toMatch(/\n +at /);
    });
  });

  it("prints an error as a JSON line too", async () => {
    const { code, stdout } = await crossblock("eval", bundledModel, "--text", "/none.txt", "--json");
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
      const endless = ["--set", "window.epochs=100000"];
      const run = startProgram(quantize("--out", join(place.folder, signal, "result"), "--json", ...endless));
      await run.wrote("stdout", '"event":"step"');
      run.child.kill(signal);
      const { code, stderr } = await run.ended;
      expect(code, stderr).toBe(expected);
      expect(readdirSync(join(place.folder, signal))).toEqual([]);
    },
  );
});
