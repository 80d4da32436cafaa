import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventsHere } from "../../fixtures/in-process/cli-in-process.js";
import { type ShortRuns, shortRuns } from "../../fixtures/prepared/short-runs.js";
import type { ProgramOutcome } from "../../fixtures/run-program.js";

let runs: ShortRuns;
beforeAll(async () => {
  runs = await shortRuns();
});
afterAll(() => runs[Symbol.dispose]());

describe("a finished result", () => {
  let out = "";
  let first: ProgramOutcome;
  const tree = (): string[] => {
    const entries = readdirSync(out, { recursive: true, withFileTypes: true }).filter((found) => found.isFile());
    return entries.map((found) => {
      const path = join(found.parentPath, found.name);
      return `${path} ${statSync(path).mtimeMs} ${statSync(path).ino}`;
    });
  };
  beforeAll(async () => {
    out = runs.at("my result");
    first = await runs.shown(runs.quantize(out));
    expect(first.code, first.stderr).toBe(0);
  });

  it("offers a next command that works, its path quoted", async () => {
    const next = /^next: (.*)$/m.exec(first.stdout)?.[1] ?? "";
    expect(next).toBe(`crossblock eval "${out}" --text PATH`);
    const { code, stdout, stderr } = await runs.follow(next.replace("PATH", runs.text));
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/^perplexity/);
  });

  it("stays as it is when the same command runs again, however its paths are written", async () => {
    const before = tree();
    for (const args of [
      runs.quantize(out),
      runs.quantize("./my result", "--work", runs.at("w")),
      runs.quantize(out, "--dry-run"),
    ]) {
      const { code, stdout, stderr } = await runs.shown(args);
      expect(stdout, stderr).toMatch(
        /my result: is there already \(W4A16g32, compressed-tensors, made .*nothing was done/,
      );
      expect(code).toBe(0);
    }
    const { events } = await eventsHere(runs.quantize(out));
    expect(events.map(({ event }) => event)).toEqual(["run", "already-there", "done"]);
    expect(tree()).toEqual(before);
    expect(existsSync(`${out}.work`)).toBe(false);
  });

  it("is known again by the paths that an early version recorded", async () => {
    const early = runs.at("early result");
    cpSync(out, early, { recursive: true, preserveTimestamps: true });
    const record = join(early, "crossblock.json");
    const { origin, ...rest } = JSON.parse(readFileSync(record, "utf8")) as Record<string, Record<string, unknown>>;
    expect(origin).toMatchObject({ commit: null, calibration: [expect.stringMatching(/^[0-9a-f]{64}$/)] });
    expect(rest["options"]).toMatchObject({
      model: "../my model",
      calibration: ["../text.jsonl"],
      out: ".",
      work: null,
    });
    const options = { ...rest["options"], model: runs.model, calibration: [runs.text], out: early };
    writeFileSync(record, JSON.stringify({ ...rest, options }));
    expect((await runs.shown(runs.quantize(early))).stdout).toMatch(/is there already/);
    const elsewhere = { ...options, model: runs.at("my result") };
    writeFileSync(record, JSON.stringify({ ...rest, options: elsewhere }));
    await runs.refused(runs.quantize(early), /differs: model /);
  });

  it("is not replaced by another command: the difference is named, and the way out works", async () => {
    const before = tree();
    const last = await runs.refused(
      runs.quantize(out, "--scheme", "W8A16", "--seed", "3"),
      /a finished result of other options/,
    );
    expect(last.why).toBe('differs: scheme "W4A16g32" -> "W8A16"; seed 0 -> 3');
    const format = await runs.refused(runs.quantize(out, "--format", "gguf,onnx"), /format \[.*\] -> \[.*\]/);
    const command = /add what is missing: (crossblock export .*?);/.exec(String(format.next))?.[1] ?? "";
    expect(tree()).toEqual(before);
    const { code, stderr } = await runs.follow(command);
    expect(code, stderr).toBe(0);
    expect(existsSync(join(out, "onnx", "config.json"))).toBe(true);
  });

  it("is not taken for done when its model was written after it, or when it is damaged", async () => {
    const copy = runs.at("damaged result");
    cpSync(out, copy, { recursive: true, preserveTimestamps: true });
    const weights = join(runs.model, "model.safetensors");
    const { mtime } = statSync(weights);
    utimesSync(weights, new Date(), new Date(Date.now() + 60_000));
    await runs.refused(runs.quantize(copy), /its source has changed since.*model\.safetensors is newer/);
    utimesSync(weights, mtime, mtime);
    rmSync(join(copy, "tokenizer.json"));
    await runs.refused(runs.quantize(copy), /it is damaged.*its tokenizer\.json is gone/);
    cpSync(join(out, "tokenizer.json"), join(copy, "tokenizer.json"));
    rmSync(join(copy, "model.safetensors"));
    await runs.refused(runs.quantize(copy), /it is damaged.*Next: .*--force/);
    writeFileSync(join(copy, "crossblock.json"), "{}");
    await runs.refused(runs.quantize(copy), /what made it can't be told/);
  });

  it("gives way with --force, and what else was there is moved, on the screen and in the events", async () => {
    const target = runs.at("forced result");
    cpSync(out, target, { recursive: true, preserveTimestamps: true });
    writeFileSync(join(target, "notes.txt"), "measured by hand");
    writeFileSync(join(target, "README.md"), "a model card of my own\n");
    const { code, events, stderr } = await eventsHere(runs.quantize(target, "--scheme", "W8A16", "--force"));
    expect(code, stderr).toBe(0);
    const replaced = events.find(({ event }) => event === "replaced") as unknown as { movedTo: string };
    expect(replaced).toMatchObject({ path: target, moved: ["README.md", "notes.txt"] });
    expect(stderr).toMatch(/moved what else was in .*forced result to .*forced result\.old-.*notes\.txt/);
    expect(stderr).toMatch(/replaced .*\d+ files of an earlier result removed/);
    expect(readdirSync(replaced.movedTo).sort()).toEqual(["README.md", "notes.txt"]);
    expect(readFileSync(join(target, "README.source.md"), "utf8")).toBe("a model card\n");
    expect(readFileSync(join(target, "README.md"), "utf8")).toMatch(/^---\nquantized_by: crossblock/);
    expect(readdirSync(target)).not.toContain("onnx");
  });

  it("keeps every byte of a folder that is someone else's model", async () => {
    const other = runs.at("other model");
    cpSync(runs.model, other, { recursive: true });
    await runs.refused(runs.quantize(other), /crossblock did not write it.*moves what is there to OUT\.old-DATE/);
    const { code, stderr } = await eventsHere(runs.quantize(other, "--force"));
    expect(code, stderr).toBe(0);
    const old = readdirSync(runs.folder).find((name) => name.startsWith("other model.old-")) ?? "";
    for (const file of readdirSync(runs.model)) {
      expect(readFileSync(runs.at(old, file)).equals(readFileSync(join(runs.model, file))), file).toBe(true);
    }
  });
});
