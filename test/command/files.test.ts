import { execFileSync, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { addOptionFlags, givenFlags } from "../../src/cli/option-flags.js";
import type { CrossblockError, QuantizeEvent, QuantizeOptions } from "../../src/index.js";
import { runOptionsSchema } from "../../src/run/options/options.js";
import { parseAssignments } from "../../src/run/options/parse/config-file.js";
import { runCli } from "../fixtures/run-cli.js";
import { type Workplace, workplace } from "../fixtures/sample-text.js";
import { writeShortLlama } from "../fixtures/short-llama.js";

// The compiled library, because the worker thread runs compiled JavaScript.
const library = (await import("../../dist/index.js" as string)) as typeof import("../../src/index.js");
const entry = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
let place: Workplace;
/** Has a space in its name, as all folders here. */
let model = "";

const at = (...names: readonly string[]): string => join(place.folder, ...names);
const size = ["--samples", "4", "--context", "64"];
const arguments_ = (out: string, ...args: readonly string[]): string[] => [
  ...["quantize", model, "--scheme", "W4A16g32", "--recipe", "rtn", "--finish", "none", "--device", "cpu"],
  ...["--calibration", place.text, ...size, "--out", out, ...args],
];

/** What people see. */
function shown(args: readonly string[], more: object = {}): { code: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [entry, ...args], {
    encoding: "utf8",
    cwd: place.folder,
    ...more,
  });
  return { code: status, stdout, stderr };
}

/** Runs the command that a message offers, as a shell would read it. */
function follow(command: string): { code: number | null; stdout: string; stderr: string } {
  const line = command.replace(/^crossblock /, '"$NODE" "$ENTRY" ');
  const env = { ...process.env, NODE: process.execPath, ENTRY: entry };
  const { status, stdout, stderr } = spawnSync("/bin/sh", ["-c", line], { encoding: "utf8", env, cwd: place.folder });
  return { code: status, stdout, stderr };
}

/** `crossblock quantize` with these arguments, in this process: its events, and how it was refused. */
async function attempt(args: readonly string[]): Promise<{ events: QuantizeEvent[]; error: CrossblockError | null }> {
  const command = new Command().argument("[model]").option("--set <pairs...>");
  addOptionFlags(command, runOptionsSchema);
  const { set, ...flags } = command.parse(args.slice(1), { from: "user" }).opts<{ set?: string[] }>();
  const options = { ...givenFlags(flags), ...parseAssignments(set ?? []), model: command.args[0] };
  const events: QuantizeEvent[] = [];
  try {
    for await (const event of library.quantize(options as unknown as QuantizeOptions)) events.push(event);
    return { events, error: null };
  } catch (error) {
    if (error instanceof library.CrossblockError) return { events, error };
    throw error;
  }
}

/** Refused alike by the run and by the dry run; neither computes nor leaves anything. */
async function refused(args: readonly string[], message: RegExp): Promise<CrossblockError> {
  const before = readdirSync(place.folder).sort();
  const errors: CrossblockError[] = [];
  for (const dry of [[], ["--dry-run"]]) {
    const { events, error } = await attempt([...args, ...dry]);
    expect(error?.message, dry.join()).toMatch(message);
    expect(events.some(({ event }) => event === "window-start" || event === "window-done")).toBe(false);
    expect(readdirSync(place.folder).sort()).toEqual(before);
    if (error !== null) errors.push(error);
  }
  const [first] = errors;
  if (first === undefined) throw new Error("it was not refused");
  return first;
}

/** Whether a dry run finds nothing that stands in the way. */
const passes = async (args: readonly string[]): Promise<boolean> =>
  (await attempt([...args, "--dry-run"])).error === null;

beforeAll(async () => {
  place = workplace();
  model = at("my model");
  await writeShortLlama(model);
  writeFileSync(join(model, "README.md"), "a model card\n");
});
afterAll(() => place[Symbol.dispose]());

describe("a finished result", () => {
  let out = "";
  let first: ReturnType<typeof shown>;
  const tree = (): string[] => {
    const entries = readdirSync(out, { recursive: true, withFileTypes: true }).filter((found) => found.isFile());
    return entries.map((found) => {
      const path = join(found.parentPath, found.name);
      return `${path} ${statSync(path).mtimeMs} ${statSync(path).ino}`;
    });
  };
  beforeAll(() => {
    out = at("my result");
    first = shown(arguments_(out));
    expect(first.code, first.stderr).toBe(0);
  });

  it("offers a next command that works, its path quoted", () => {
    const next = /^next: (.*)$/m.exec(first.stdout)?.[1] ?? "";
    expect(next).toBe(`crossblock eval "${out}" --text PATH`);
    const { code, stdout, stderr } = follow(next.replace("PATH", place.text));
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/^perplexity/);
  });

  it("stays as it is when the same command runs again, however its paths are written", async () => {
    const before = tree();
    for (const args of [arguments_(out), arguments_("./my result", "--work", at("w")), arguments_(out, "--dry-run")]) {
      const { code, stdout, stderr } = shown(args);
      expect(stdout, stderr).toMatch(
        /my result: is there already \(W4A16g32, compressed-tensors, made .*nothing was done/,
      );
      expect(code).toBe(0);
    }
    const { events } = await runCli(arguments_(out));
    expect(events.map(({ event }) => event)).toEqual(["already-there", "done"]);
    expect(tree()).toEqual(before);
    expect(existsSync(`${out}.work`)).toBe(false);
  });

  it("is not replaced by another command: the difference is named, and the way out works", async () => {
    const before = tree();
    const last = await refused(
      arguments_(out, "--scheme", "W8A16", "--seed", "3"),
      /a finished result of other options/,
    );
    expect(last.why).toBe('differs: scheme "W4A16g32" -> "W8A16"; seed 0 -> 3');
    const format = await refused(arguments_(out, "--format", "gguf,onnx"), /format \[.*\] -> \[.*\]/);
    const command = /add what is missing: (crossblock export .*?);/.exec(String(format.next))?.[1] ?? "";
    expect(tree()).toEqual(before);
    const { code, stderr } = follow(command);
    expect(code, stderr).toBe(0);
    expect(existsSync(join(out, "onnx", "config.json"))).toBe(true);
  });

  it("is not taken for done when its model was written after it, or when it is damaged", async () => {
    const copy = at("damaged result");
    cpSync(out, copy, { recursive: true, preserveTimestamps: true });
    const weights = join(model, "model.safetensors");
    const { mtime } = statSync(weights);
    utimesSync(weights, new Date(), new Date(Date.now() + 60_000));
    await refused(arguments_(copy), /its source has changed since.*model\.safetensors is newer/);
    utimesSync(weights, mtime, mtime);
    rmSync(join(copy, "tokenizer.json"));
    await refused(arguments_(copy), /it is damaged.*its tokenizer\.json is gone/);
    cpSync(join(out, "tokenizer.json"), join(copy, "tokenizer.json"));
    rmSync(join(copy, "model.safetensors"));
    await refused(arguments_(copy), /it is damaged.*Next: .*--force/);
    writeFileSync(join(copy, "crossblock.json"), "{}");
    await refused(arguments_(copy), /what made it can't be told/);
  });

  it("gives way with --force, and what else was there is moved, on the screen and in the events", async () => {
    const target = at("forced result");
    cpSync(out, target, { recursive: true, preserveTimestamps: true });
    writeFileSync(join(target, "notes.txt"), "measured by hand");
    writeFileSync(join(target, "README.md"), "a model card of my own\n");
    const { code, events, stderr } = await runCli(arguments_(target, "--scheme", "W8A16", "--force"));
    expect(code, stderr).toBe(0);
    const replaced = events.find(({ event }) => event === "replaced") as unknown as { movedTo: string };
    expect(replaced).toMatchObject({ path: target, moved: ["README.md", "notes.txt"] });
    expect(stderr).toMatch(/moved what else was in .*forced result to .*forced result\.old-.*notes\.txt/);
    expect(stderr).toMatch(/replaced .*\d+ files of an earlier result removed/);
    expect(readdirSync(replaced.movedTo).sort()).toEqual(["README.md", "notes.txt"]);
    expect(readFileSync(join(target, "README.md"), "utf8")).toBe("a model card\n");
    expect(readdirSync(target)).not.toContain("onnx");
  });

  it("keeps every byte of a folder that is someone else's model", async () => {
    const other = at("other model");
    cpSync(model, other, { recursive: true });
    await refused(arguments_(other), /crossblock did not write it.*moves what is there to OUT\.old-DATE/);
    const { code, stderr } = await runCli(arguments_(other, "--force"));
    expect(code, stderr).toBe(0);
    const old = readdirSync(place.folder).find((name) => name.startsWith("other model.old-")) ?? "";
    for (const file of readdirSync(model)) {
      expect(readFileSync(at(old, file)).equals(readFileSync(join(model, file))), file).toBe(true);
    }
  });
});

describe("exports", () => {
  let result = "";
  let all: string[] = [];
  beforeAll(async () => {
    result = at("exported result");
    all = ["export", result, "--format", "gptq,gguf,onnx", "--out", at("my exports")];
    expect((await runCli(arguments_(result))).code).toBe(0);
    const { code, stdout, stderr } = shown(all);
    expect(code, stderr).toBe(0);
    const next = /^next: (.*)$/m.exec(stdout)?.[1] ?? "";
    expect(follow(`${next} --no-runtimes`).stderr).not.toMatch(/error/);
  });

  it("that are there and intact stay as they are", async () => {
    const { code, stdout } = shown(all);
    expect(code).toBe(0);
    expect(stdout.match(/is there already/g)?.length).toBe(3);
    const { events } = await runCli(all);
    expect(events.filter(({ event }) => event !== "progress").map(({ event }) => event)).toEqual([
      ...Array.from({ length: 3 }, () => "already-there"),
      "done",
    ]);
  });

  it("that are missing are written, and only they", async () => {
    rmSync(at("my exports", "gptq"), { recursive: true });
    const { code, events } = await runCli(all);
    expect(code).toBe(0);
    expect(events.filter(({ event }) => event === "exported").map(({ format }) => format)).toEqual(["gptq"]);
  });

  it.each([
    ["other options", ["--gguf-embedding", "f16"], () => {}, /with other options exists already/],
    [
      "a changed code",
      [],
      () => {
        const path = at("my exports", "gptq", "model.safetensors");
        const bytes = readFileSync(path);
        bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
        writeFileSync(path, bytes);
      },
      /another gptq export exists already, or a damaged one/,
    ],
    [
      "a missing tokenizer",
      [],
      () => rmSync(at("my exports", "onnx", "tokenizer.json")),
      /not whole\n.*tokenizer\.json/,
    ],
  ] as const)("are refused over an export with %s, and replaced with --force", async (_name, args, change, message) => {
    change();
    const { code, stderr } = await runCli([...all, ...args]);
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
    const forced = await runCli([...all, ...args, "--force"]);
    expect(forced.code, forced.stderr).toBe(0);
    expect((await runCli([...all, ...args])).events.filter(({ event }) => event === "already-there").length).toBe(3);
  });

  it("move a file of someone else under their name", async () => {
    const name = readdirSync(at("my exports", "gguf"))[0] ?? "";
    const path = at("my exports", "gguf", name);
    writeFileSync(path, "someone else's");
    const gguf = ["export", result, "--format", "gguf", "--out", at("my exports")];
    expect((await runCli(gguf)).code).toBe(2);
    const { code, events, stderr } = await runCli([...gguf, "--force"]);
    expect(code, stderr).toBe(0);
    const { movedTo } = events.find(({ event }) => event === "replaced") as unknown as { movedTo: string };
    expect(readFileSync(movedTo, "utf8")).toBe("someone else's");
    expect(readFileSync(path).subarray(0, 4).toString()).toBe("GGUF");
  });

  it("never go into the model that was quantized, or over the result", async () => {
    for (const out of [model, join(model, "x")]) {
      const { code, stderr } = await runCli(["export", result, "--format", "gguf", "--out", out, "--force"]);
      expect(stderr).toMatch(/lies in the model that was quantized.*\n.*next: choose a new folder/);
      expect(code).toBe(2);
    }
  });
});

describe("what a run refuses before it computes anything, a dry run likewise", () => {
  const changed = (name: string, change: (folder: string) => void): string[] => {
    const folder = at(`model with ${name}`);
    cpSync(model, folder, { recursive: true });
    change(folder);
    return arguments_(at("x")).map((word) => (word === model ? folder : word));
  };

  it("a link out of the model folder; the command that is offered mends it", async () => {
    writeFileSync(at("shared notes.md"), "notes\n");
    const args = changed("a $link", (folder) => symlinkSync("../shared notes.md", join(folder, "NOTES.md")));
    const last = await refused(args, /NOTES\.md.*a symbolic link that leads out of the model folder/);
    const command = String(last.next).replace(/^.*?: /, "");
    expect(follow(command).stderr).toBe("");
    expect(await passes(args)).toBe(true);
    expect(readFileSync(at("model with a $link", "NOTES.md"), "utf8")).toBe("notes\n");
  });

  it("a link to nothing; the command that is offered mends it", async () => {
    const args = changed("a dead link", (folder) => symlinkSync("gone.md", join(folder, "NOTES.md")));
    const last = await refused(args, /NOTES\.md.*a symbolic link to a file that is not there/);
    expect(follow(String(last.next).replace(/^.*: /, "")).stderr).toBe("");
    expect(await passes(args)).toBe(true);
  });

  it.skipIf(process.platform === "win32")("a pipe in the model folder", async () => {
    const args = changed("a pipe", (folder) => execFileSync("mkfifo", [join(folder, "events")]));
    await refused(args, /events.*a socket, pipe or device/);
  });

  it("text that is not there, or too little of it, before all weights are read", async () => {
    const none = arguments_(at("x")).map((word) => (word === place.text ? at("none.txt") : word));
    await refused(none, /none\.txt.*there is no such file/);
    writeFileSync(at("short.txt"), "Fellow citizens of the Senate");
    const short = arguments_(at("x")).map((word) => (word === place.text ? at("short.txt") : word));
    const last = await refused(short, /the text has \d+ tokens/);
    const way = /use (--[^,]*)/.exec(String(last.next))?.[1]?.split(" ") ?? [];
    expect(await passes([...short, ...way])).toBe(true);
  });

  it("windows longer than the model's; by default they are as long as it was made for", async () => {
    const last = await refused(arguments_(at("x"), "--context", "2048"), /longer than the model's 256/);
    expect(last.next).toBe("use --context 256 or less");
    const usual = arguments_(at("x"), "--dry-run").filter((word, i, all) => !/context/.test(`${all[i - 1]}${word}`));
    const { events } = await attempt(usual);
    expect(events.find(({ event }) => event === "calibrate")).toMatchObject({ context: 256 });
  });

  it("a weight that is no number", async () => {
    const args = changed("NaN", (folder) => {
      const path = join(folder, "model.safetensors");
      const bytes = readFileSync(path);
      bytes.fill(0xff, bytes.length - 4);
      writeFileSync(path, bytes);
    });
    await refused(args, /NaN or infinite/);
  });

  it("a start that the rounding can't have; what is offered works", async () => {
    const cbq = arguments_(at("x"), "--recipe", "cbq", "--set", "rounding.kind=lora", "rounding.start=gptq");
    const last = await refused(cbq, /"gptq" does not go with the rounding "lora"/);
    const ways = String(last.next).match(/rounding\.\w+=\w+/g) ?? [];
    expect(ways.length).toBe(2);
    for (const way of ways) expect(await passes([...cbq, way])).toBe(true);
  });

  it("a group that divides no width; the one that is offered divides all", async () => {
    // Nearest to 96 of the widths is 96 itself for 768 columns, and no group of the 256 of others.
    const last = await refused(arguments_(at("x"), "--scheme", "W4A16g96"), /groups of 96 columns do not divide/);
    const scheme = /--scheme (\S+?),/.exec(String(last.next))?.[1] ?? "";
    expect(await passes(arguments_(at("x"), "--scheme", scheme))).toBe(true);
  });

  it("a budget of memory that is too small; the one that is offered is enough", async () => {
    const cbq = arguments_(at("x"), "--recipe", "cbq");
    const last = await refused([...cbq, "--max-memory", "1MB"], /the run needs about/);
    const enough = /--max-memory (\S+?),/.exec(String(last.next))?.[1] ?? "";
    expect(await passes([...cbq, "--max-memory", enough])).toBe(true);
  });

  it("a work folder of someone else, whose files have our names", async () => {
    for (const [name, text] of [
      ["manifest.json", '{"name": "a web page"}'],
      ["plan.json", "{}"],
    ] as const) {
      const work = at(`work with ${name}`);
      mkdirSync(work);
      writeFileSync(join(work, name), text);
      await refused(arguments_(at("x"), "--work", work), /no work directory of crossblock/);
      expect(readFileSync(join(work, name), "utf8")).toBe(text);
    }
  });
});

describe("paths that begin with ~", () => {
  it("mean the home folder, as flags and in a configuration file", async () => {
    const home = at("home");
    mkdirSync(home);
    cpSync(model, join(home, "m"), { recursive: true });
    const env = { ...process.env, HOME: home, USERPROFILE: home };
    const run = (...args: readonly string[]): ReturnType<typeof shown> => shown(args, { env });
    const args = ["--scheme", "W4A16g32", "--recipe", "rtn", "--finish", "none", "--device", "cpu"];
    const first = run("quantize", "~/m", "--out=~/small", ...args);
    expect(first.code, first.stderr).toBe(0);
    writeFileSync(at("options.json"), JSON.stringify({ model: "~/m", out: "~/from file" }));
    const second = run("quantize", "--config", at("options.json"), ...args);
    expect(second.code, second.stderr).toBe(0);
    expect(run("export", "~/small", "--format=gptq", "--out=~/e").code).toBe(0);
    expect(run("verify", "~/small", "--export=~/e/gptq", "--no-runtimes").code).toBe(0);
    expect(run("inspect", "~/small").code).toBe(0);
    writeFileSync(join(home, "t.txt"), readFileSync(place.text));
    const judged = run("eval", "~/small", "--text=~/t.txt", "--reference=~/m", "--context", "64");
    expect(judged.code, judged.stderr).toBe(0);
    expect(existsSync(join(home, "from file", "crossblock.json"))).toBe(true);
    expect(readdirSync(place.folder)).not.toContain("~");
    const other = run("quantize", "~/m", "--out=~nobody/x", ...args);
    expect(other.stderr).toMatch(/~nobody is the home folder of another user.*\n.*next: write the whole path/);
    expect(other.code).toBe(2);
  });
});

describe("eval", () => {
  it("names a path that is not there before it loads the model", async () => {
    for (const args of [
      ["--text", "/none.txt"],
      ["--choices", "/none.jsonl"],
      ["--text", place.text, "--reference", "/none"],
    ]) {
      const { events, stderr } = await runCli(["eval", at("no model either"), ...args]);
      expect(stderr).toMatch(/\/none/);
      expect(events.at(-1)).toMatchObject({ event: "error", exitCode: 2 });
    }
  });

  it("takes windows as long as the model was made for", async () => {
    const { events } = await runCli(["eval", model, "--text", place.text, "--reference", model]);
    expect(events.at(-1)).toMatchObject({ event: "perplexity", context: 256 });
    const { stderr } = await runCli(["eval", model, "--text", place.text, "--context", "300"]);
    expect(stderr).toMatch(/next: use --context 256 or less/);
  });
});
