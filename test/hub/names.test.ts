import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { crossblockHere, eventsHere } from "../fixtures/in-process/cli-in-process.js";
import type { ProgramOutcome } from "../fixtures/run-program.js";
import { workplace } from "../fixtures/sample-text.js";
import { writeShortLlama } from "../fixtures/short-llama.js";
import { filesOf, type HubRoom, hubRoom } from "./hub-room.js";

let room: HubRoom;
let text = "";
let tagged = "";
const place = workplace(100);
const model = "someone/tiny-llama";

beforeAll(async () => {
  room = await hubRoom();
  await writeShortLlama(room.at("source"));
  writeFileSync(room.at("source", "README.md"), "---\nlicense: mit\nlanguage: en\n---\nthe source's card\n");
  writeFileSync(room.at("source", "LICENSE"), "as is\n");
  const files = filesOf(room.at("source"));
  const { branches } = room.hub.add(model, { ...files, LICENSE: Buffer.from("newer terms\n") });
  branches.set("v1", new Map(Object.entries(files)));
  tagged = room.hub.commitOf(model, "v1");
  text = place.text;
});
afterAll(async () => {
  await room[Symbol.asyncDispose]();
  place[Symbol.dispose]();
});

const run = async (...args: string[]): Promise<ProgramOutcome> => await crossblockHere(args, room.folder);
const quantize = (out: string, ...more: string[]): string[] => [
  ...["quantize", model, "--revision", "v1", "--scheme", "W4A16g32", "--recipe", "rtn", "--out", out, ...more],
];

describe("a model of the hub", () => {
  it("is quantized at the revision that was asked for, which the result records", async () => {
    const { code, stderr } = await run(...quantize("w4", "--format", "gguf,onnx"));
    expect(code, stderr).toBe(0);
    const record = JSON.parse(readFileSync(room.at("w4", "crossblock.json"), "utf8")) as Record<string, unknown>;
    expect(record).toMatchObject({
      name: "tiny-llama",
      options: { model, revision: "v1", out: ".", work: null },
      origin: { commit: tagged },
    });
    expect(readFileSync(room.at("w4", "LICENSE"), "utf8")).toBe("as is\n");
    expect(readFileSync(room.at("w4", "README.source.md"), "utf8")).toContain("the source's card");
    const card = readFileSync(room.at("w4", "README.md"), "utf8");
    expect(parse(card.split("---\n")[1] ?? "")).toMatchObject({
      ...{ base_model: model, base_model_relation: "quantized", license: "mit", language: "en" },
    });
    expect(card).toContain(`npx crossblock quantize ${model} --revision ${tagged} --scheme W4A16g32 --recipe rtn`);
    expect(existsSync(join(room.cache, "models--someone--tiny-llama", "snapshots", tagged, "config.json"))).toBe(true);
  });

  it("is the same model for the same command, and another one for another revision", async () => {
    const { stdout } = await run(...quantize("w4", "--format", "gguf,onnx"));
    expect(stdout).toMatch(/is there already/);
    const other = await run(...quantize("w4").map((word) => (word === "v1" ? "main" : word)));
    expect(other.stderr).toMatch(/differs: revision "v1" -> "main"/);
  });

  it("is a reference by owner/name@revision, and inspected", async () => {
    const { code, stdout, stderr } = await run(
      ...["eval", "w4", "--text", text, "--context", "32", "--reference", `${model}@v1`],
    );
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/KL divergence/);
    const inspected = await run("inspect", model, "--revision", tagged);
    expect(inspected.code, inspected.stderr).toBe(0);
  });

  it("is refused where it has no such revision, where a path has one, and where the folder is missing", async () => {
    const none = await run("inspect", model, "--revision", "v9");
    expect(none.stderr).toMatch(/answers 404\n +why: .*it has no revision v9\n +next: choose a branch, tag or commit/);
    const path = await run("inspect", "./source", "--revision", "v1");
    expect(path.stderr).toMatch(/\.\/source is a path, and only a model of the hub has revisions/);
    mkdirSync(room.at("rtn"));
    for (const [command = "", ...flags] of [
      ...[["inspect"], ["generate", "--prompt", "a"], ["verify"], ["export", "--format", "gguf"]],
      ["quantize", "--scheme", "W4A16", "--recipe", "rtn", "--out", "o"],
      ["eval", "--text", text],
    ]) {
      const { code, stderr } = await run(command, "rtn/onnx", ...flags);
      expect(code, command).toBe(2);
      expect(stderr, command).toMatch(/no such model folder\n +why: +the folder rtn is here, and has no onnx\n/);
      expect(stderr, command).toContain("the model of that name on the Hugging Face Hub is hub:rtn/onnx");
    }
    expect((await run("inspect", "./nope")).stderr).toMatch(/\.\/nope: no such model folder\n +next: check the path/);
    const asked = room.hub.requests.length;
    expect((await run("inspect", "hub:rtn/onnx")).stderr).toMatch(/answers 401\n +why: .*nothing of this name/);
    expect(room.hub.requests.length).toBeGreaterThan(asked);
  });
});

describe("a result on the hub", () => {
  beforeAll(async () => {
    const { code, stderr } = await run("push", "w4", "me/tiny-w4");
    expect(code, stderr).toBe(0);
  });

  it("is inspected, evaluated and generated from by its name", async () => {
    const { events } = await eventsHere(["inspect", "me/tiny-w4"]);
    expect(events.at(-1)).toMatchObject({ format: "compressed-tensors", scheme: "W4A16g32" });
    const scored = async (name: string): Promise<string> =>
      (await run("eval", name, "--text", text, "--context", "32")).stdout;
    expect(await scored("me/tiny-w4")).toBe(await scored("w4"));
    const { code, stdout } = await run("generate", "me/tiny-w4", "--prompt", "The Congress", "--tokens", "3");
    expect([code, stdout.startsWith("The Congress")]).toEqual([0, true]);
  });

  it("is exported to a folder that is named, and never into the cache", async () => {
    const before = Object.keys(filesOf(room.cache));
    const refused = await run("export", "me/tiny-w4", "--format", "gguf");
    expect(refused.stderr).toMatch(/read from the cache, where no export belongs\n +next: give a folder.*--out/);
    const { code, stderr } = await run("export", "me/tiny-w4", "--format", "gguf", "--out", "elsewhere");
    expect(code, stderr).toBe(0);
    const [here, there] = ["elsewhere", "w4"].map((folder) =>
      readFileSync(room.at(folder, "gguf", "tiny-llama-W4A16g32-Q4_0.gguf")),
    );
    expect(here !== undefined && there?.equals(here)).toBe(true);
    expect(readFileSync(room.at("elsewhere", "gguf", "README.md"), "utf8")).toContain("library_name: gguf");
    expect(Object.keys(filesOf(room.cache))).toEqual(before);
  });

  it("is verified with the exports beside it, and its certificate goes where it is wanted", async () => {
    const { code, stdout, stderr } = await run("verify", "me/tiny-w4", "--no-runtimes", "--out", "certified");
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/^files agree: compressed-tensors, gguf, onnx hold what was optimised$/m);
    expect(stdout).toMatch(/^no runtime ran \(gguf, onnx: runtimes were left out, as asked\)$/m);
    const { result, exports } = JSON.parse(readFileSync(room.at("certified", "certificate.json"), "utf8")) as {
      readonly result: string;
      readonly exports: readonly { readonly path: string; readonly untouched: object }[];
    };
    expect(result).toBe(`me/tiny-w4@${room.hub.commitOf("me/tiny-w4")}`);
    expect(exports.map(({ path }) => path)).toEqual([
      ...[".", "gguf/tiny-llama-W4A16g32-Q4_0.gguf", "onnx/onnx/model_q4.onnx"],
    ]);
    // The source is in the cache too, by the recorded commit.
    expect(exports[0]?.untouched).toMatchObject({ comparedWith: "source model" });
    const none = await run("verify", "me/tiny-w4", "--no-runtimes");
    expect([none.code, none.stdout.includes("wrote")]).toEqual([0, false]);
  });

  it("is read from the cache alone where the environment says so", async () => {
    room.set({ HF_HUB_OFFLINE: "1" });
    room.hub.requests.length = 0;
    const { code, stderr } = await run("inspect", "me/tiny-w4");
    expect(code, stderr).toBe(0);
    const missing = await run("inspect", "me/other");
    expect(missing.stderr).toMatch(
      /no complete copy.*\n +why: +HF_HUB_OFFLINE is set.*\n +next:.*unset HF_HUB_OFFLINE/,
    );
    expect(room.hub.requests).toEqual([]);
    room.set({ HF_HUB_OFFLINE: null });
  });
});
