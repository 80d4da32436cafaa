import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventsHere } from "../../fixtures/in-process/cli-in-process.js";
import { type ShortRuns, shortRuns } from "../../fixtures/prepared/short-runs.js";

let runs: ShortRuns;
beforeAll(async () => {
  runs = await shortRuns();
});
afterAll(() => runs[Symbol.dispose]());

describe("exports", () => {
  let result = "";
  let all: string[] = [];
  beforeAll(async () => {
    result = runs.at("exported result");
    all = ["export", result, "--format", "gptq,gguf,onnx", "--out", runs.at("my exports")];
    expect((await eventsHere(runs.quantize(result))).code).toBe(0);
    const { code, stdout, stderr } = await runs.shown(all);
    expect(code, stderr).toBe(0);
    const next = /^next: (.*)$/m.exec(stdout)?.[1] ?? "";
    const verified = await runs.follow(`${next} --no-runtimes`);
    expect(verified.code, verified.stderr).toBe(0);
  });

  it("that are there and intact stay as they are", async () => {
    const { code, stdout } = await runs.shown(all);
    expect(code).toBe(0);
    expect(stdout.match(/is there already/g)?.length).toBe(3);
    const { events } = await eventsHere(all);
    expect(events.filter(({ event }) => event !== "progress").map(({ event }) => event)).toEqual([
      "run",
      ...Array.from({ length: 3 }, () => "already-there"),
      "done",
    ]);
  });

  it("that are missing are written, and only they", async () => {
    rmSync(runs.at("my exports", "gptq"), { recursive: true });
    const { code, events } = await eventsHere(all);
    expect(code).toBe(0);
    expect(events.filter(({ event }) => event === "exported").map(({ format }) => format)).toEqual(["gptq"]);
  });

  it.each([
    ["other options", ["--gguf-embedding", "f16"], () => {}, /with other options exists already/],
    [
      "a changed code",
      [],
      () => {
        const path = runs.at("my exports", "gptq", "model.safetensors");
        const bytes = readFileSync(path);
        bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
        writeFileSync(path, bytes);
      },
      /another gptq export exists already, or a damaged one/,
    ],
    [
      "a missing tokenizer",
      [],
      () => rmSync(runs.at("my exports", "onnx", "tokenizer.json")),
      /not whole\n.*tokenizer\.json/,
    ],
  ] as const)("are refused over an export with %s, and replaced with --force", async (_name, args, change, message) => {
    change();
    const { code, stderr } = await eventsHere([...all, ...args]);
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
    const forced = await eventsHere([...all, ...args, "--force"]);
    expect(forced.code, forced.stderr).toBe(0);
    expect((await eventsHere([...all, ...args])).events.filter(({ event }) => event === "already-there").length).toBe(
      3,
    );
  });

  it("move a file of someone else under their name", async () => {
    const name = readdirSync(runs.at("my exports", "gguf")).find((each) => each.endsWith(".gguf")) ?? "";
    const path = runs.at("my exports", "gguf", name);
    writeFileSync(path, "someone else's");
    const gguf = ["export", result, "--format", "gguf", "--out", runs.at("my exports")];
    expect((await eventsHere(gguf)).code).toBe(2);
    const { code, events, stderr } = await eventsHere([...gguf, "--force"]);
    expect(code, stderr).toBe(0);
    const { movedTo } = events.find(({ event }) => event === "replaced") as unknown as { movedTo: string };
    expect(readFileSync(movedTo, "utf8")).toBe("someone else's");
    expect(readFileSync(path).subarray(0, 4).toString()).toBe("GGUF");
  });

  it("never go into the model that was quantized, or over the result", async () => {
    for (const out of [runs.model, join(runs.model, "x")]) {
      const { code, stderr } = await eventsHere(["export", result, "--format", "gguf", "--out", out, "--force"]);
      expect(stderr).toMatch(/lies in the model that was quantized.*\n.*next: choose a new folder/);
      expect(code).toBe(2);
    }
  });
});
