import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ShortRuns, shortRuns } from "../fixtures/prepared/short-runs.js";

let runs: ShortRuns;
beforeAll(async () => {
  runs = await shortRuns();
});
afterAll(() => runs[Symbol.dispose]());

describe("what a run refuses before it computes anything, a dry run likewise", () => {
  const changed = (name: string, change: (folder: string) => void): string[] => {
    const folder = runs.at(`model with ${name}`);
    cpSync(runs.model, folder, { recursive: true });
    change(folder);
    return runs.quantize(runs.at("x")).map((word) => (word === runs.model ? folder : word));
  };

  it("a link out of the model folder; the command that is offered mends it", async () => {
    writeFileSync(runs.at("shared notes.md"), "notes\n");
    const args = changed("a $link", (folder) => symlinkSync("../shared notes.md", join(folder, "NOTES.md")));
    const last = await runs.refused(args, /NOTES\.md.*a symbolic link that leads out of the model folder/);
    const command = String(last.next).replace(/^.*?: /, "");
    expect((await runs.follow(command)).stderr).toBe("");
    expect(await runs.passes(args)).toBe(true);
    expect(readFileSync(runs.at("model with a $link", "NOTES.md"), "utf8")).toBe("notes\n");
  });

  it("a link to nothing; the command that is offered mends it", async () => {
    const args = changed("a dead link", (folder) => symlinkSync("gone.md", join(folder, "NOTES.md")));
    const last = await runs.refused(args, /NOTES\.md.*a symbolic link to a file that is not there/);
    expect((await runs.follow(String(last.next).replace(/^.*: /, ""))).stderr).toBe("");
    expect(await runs.passes(args)).toBe(true);
  });

  it.skipIf(process.platform === "win32")("a pipe in the model folder", async () => {
    const args = changed("a pipe", (folder) => execFileSync("mkfifo", [join(folder, "events")]));
    await runs.refused(args, /events.*a socket, pipe or device/);
  });

  it("text that is not there, or too little of it, before all weights are read", async () => {
    const none = runs.quantize(runs.at("x")).map((word) => (word === runs.text ? runs.at("none.txt") : word));
    await runs.refused(none, /none\.txt.*there is no such file/);
    writeFileSync(runs.at("short.txt"), "Fellow citizens of the Senate");
    // Of a recipe that fits codes to it: rounding to nearest takes as much as there is.
    const fitted = runs.quantize(runs.at("x"), "--recipe", "gptq");
    const short = fitted.map((word) => (word === runs.text ? runs.at("short.txt") : word));
    const last = await runs.refused(short, /the text has \d+ tokens/);
    const way = /use (--[^,]*)/.exec(String(last.next))?.[1]?.split(" ") ?? [];
    expect(await runs.passes([...short, ...way])).toBe(true);
  });

  it("windows longer than the model's; by default they are as long as it was made for", async () => {
    const last = await runs.refused(runs.quantize(runs.at("x"), "--context", "2048"), /longer than the model's 256/);
    expect(last.next).toBe("use --context 256 or less");
    const usual = runs
      .quantize(runs.at("x"), "--dry-run")
      .filter((word, i, all) => !/context/.test(`${all[i - 1]}${word}`));
    const { events } = await runs.attempt(usual);
    expect(events.find(({ event }) => event === "calibrate")).toMatchObject({ context: 256 });
  });

  it("a weight that is no number", async () => {
    const args = changed("NaN", (folder) => {
      const path = join(folder, "model.safetensors");
      const bytes = readFileSync(path);
      bytes.fill(0xff, bytes.length - 4);
      writeFileSync(path, bytes);
    });
    await runs.refused(args, /NaN or infinite/);
  });

  it("a start that the rounding can't have; what is offered works", async () => {
    const cbq = runs.quantize(runs.at("x"), "--recipe", "cbq", "--set", "rounding.kind=lora", "rounding.start=gptq");
    const last = await runs.refused(cbq, /"gptq" does not go with the rounding "lora"/);
    const ways = String(last.next).match(/rounding\.\w+=\w+/g) ?? [];
    expect(ways.length).toBe(2);
    for (const way of ways) expect(await runs.passes([...cbq, way])).toBe(true);
  });

  it("a group that divides no width; the one that is offered divides all", async () => {
    // Nearest to 96 of the widths is 96 itself for 768 columns, and no group of the 256 of others.
    const last = await runs.refused(
      runs.quantize(runs.at("x"), "--scheme", "W4A16g96"),
      /groups of 96 columns do not divide/,
    );
    const scheme = /--scheme (\S+?),/.exec(String(last.next))?.[1] ?? "";
    expect(await runs.passes(runs.quantize(runs.at("x"), "--scheme", scheme))).toBe(true);
  });

  it("a budget of memory that is too small; the one that is offered is enough", async () => {
    const cbq = runs.quantize(runs.at("x"), "--recipe", "cbq");
    const last = await runs.refused([...cbq, "--max-memory", "1MB"], /the run needs about/);
    const enough = /--max-memory (\S+?),/.exec(String(last.next))?.[1] ?? "";
    expect(await runs.passes([...cbq, "--max-memory", enough])).toBe(true);
  });

  it("a work folder of someone else, whose files have our names", async () => {
    for (const [name, text] of [
      ["manifest.json", '{"name": "a web page"}'],
      ["plan.json", "{}"],
    ] as const) {
      const work = runs.at(`work with ${name}`);
      mkdirSync(work);
      writeFileSync(join(work, name), text);
      await runs.refused(runs.quantize(runs.at("x"), "--work", work), /no work directory of crossblock/);
      expect(readFileSync(join(work, name), "utf8")).toBe(text);
    }
  });
});
