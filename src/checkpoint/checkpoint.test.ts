import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { CheckpointError } from "../errors.js";
import { Checkpoint } from "./checkpoint.js";
import { rawSafetensors } from "./testing/raw-safetensors.js";
import { temporaryFolder } from "./testing/temporary-folder.js";

const u8 = (begin: number, end: number): object => ({ dtype: "U8", shape: [end - begin], data_offsets: [begin, end] });
const shard = (names: Record<string, number[]>): Uint8Array => {
  const header: Record<string, object> = {};
  const data: number[] = [];
  for (const [name, values] of Object.entries(names)) {
    header[name] = u8(data.length, data.length + values.length);
    data.push(...values);
  }
  return rawSafetensors(header, Uint8Array.from(data));
};
const index = (map: unknown): string => JSON.stringify({ metadata: { total_size: 4 }, weight_map: map });

async function refusal(folder: string): Promise<CheckpointError> {
  const error = await Checkpoint.open(folder).then(
    (opened) => opened.close(),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(CheckpointError);
  expect((error as CheckpointError).next.length).toBeGreaterThan(10);
  return error as CheckpointError;
}

describe("Checkpoint", () => {
  it("reads single tensors of a single file, blocking and not, and parts of them", async () => {
    using folder = temporaryFolder();
    writeFileSync(join(folder.path, "model.safetensors"), shard({ a: [1, 2, 3], b: [4, 5], none: [] }));
    using checkpoint = await Checkpoint.open(folder.path);
    expect(checkpoint.tensors.get("b")).toEqual({
      name: "b",
      dtype: "U8",
      shape: [2],
      file: "model.safetensors",
      byteLength: 2,
    });
    const [b, a] = await Promise.all([checkpoint.read("b"), checkpoint.read("a")]);
    expect([...a, ...b]).toEqual([1, 2, 3, 4, 5]);
    expect([a.byteOffset, a.buffer.byteLength]).toEqual([0, 3]);
    expect([...checkpoint.readSync("a")]).toEqual([1, 2, 3]);
    expect([...checkpoint.readRangeSync("a", 1, 3)]).toEqual([2, 3]);
    expect(checkpoint.readSync("none").byteLength).toBe(0);
    expect(() => checkpoint.readRangeSync("a", 1, 4)).toThrow(RangeError);
    expect(() => checkpoint.readSync("c")).toThrow(/no tensor "c".*Next: check that config.json/);
  });

  it("takes announcements of tensors, of unknown ones and behind its end too, and reads the same", async () => {
    using folder = temporaryFolder();
    writeFileSync(join(folder.path, "model.safetensors"), shard({ a: [1, 2, 3], none: [] }));
    const checkpoint = await Checkpoint.open(folder.path);
    checkpoint.willRead(["a", "none", "unknown"]);
    checkpoint.willRead([]);
    expect([...checkpoint.readSync("a")]).toEqual([1, 2, 3]);
    checkpoint.willRead(["a"]);
    checkpoint.close();
    checkpoint.willRead(["a"]);
  });

  it("lets reads under way end before it closes, and refuses later ones", async () => {
    using folder = temporaryFolder();
    writeFileSync(join(folder.path, "model.safetensors"), shard({ a: [1, 2, 3] }));
    const checkpoint = await Checkpoint.open(folder.path);
    const reading = checkpoint.read("a");
    checkpoint.close();
    checkpoint.close();
    expect([...(await reading)]).toEqual([1, 2, 3]);
    await expect(checkpoint.read("a")).rejects.toThrow(/closed/);
  });

  it("says so when a file shrinks after it was opened", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "model.safetensors");
    writeFileSync(path, shard({ a: [1, 2, 3] }));
    using checkpoint = await Checkpoint.open(folder.path);
    truncateSync(path, readFileSync(path).byteLength - 1);
    expect(() => checkpoint.readSync("a")).toThrow(/tensor "a": the file ends before.*Next: restore/);
    await expect(checkpoint.read("a")).rejects.toThrow(CheckpointError);
  });

  it("reads shards through the index", async () => {
    using folder = temporaryFolder();
    writeFileSync(join(folder.path, "one.safetensors"), shard({ a: [1], b: [2] }));
    writeFileSync(join(folder.path, "two.safetensors"), shard({ c: [3] }));
    writeFileSync(
      join(folder.path, "model.safetensors.index.json"),
      index({ a: "one.safetensors", b: "one.safetensors", c: "two.safetensors" }),
    );
    using checkpoint = await Checkpoint.open(folder.path);
    expect([...checkpoint.tensors.keys()]).toEqual(["a", "b", "c"]);
    expect(checkpoint.tensors.get("c")?.file).toBe("two.safetensors");
    expect([...(await checkpoint.read("c"))]).toEqual([3]);
  });

  const one = { "one.safetensors": shard({ a: [1] }) };
  const indexFile = "model.safetensors.index.json";
  const broken: [string, Record<string, Uint8Array | string>, RegExp][] = [
    ["no weights", {}, /neither model.safetensors nor/],
    ["weights of another format", { "pytorch_model.bin": "x" }, /save_pretrained/],
    ["stray safetensors", { "adapter.safetensors": "x" }, /found only "adapter.safetensors"/],
    ["an empty file", { "model.safetensors": "" }, /too few/],
    ["an index that is no JSON", { [indexFile]: "{" }, /invalid JSON/],
    ["an index that is an array", { [indexFile]: "[]" }, /not a JSON object/],
    ["an index without weight_map", { [indexFile]: "{}" }, /weight_map is missing/],
    ["an empty weight_map", { [indexFile]: index({}) }, /weight_map is empty/],
    ["an index that nests deep", { [indexFile]: "[".repeat(1e6) }, /levels deep/],
    ["a missing shard", { [indexFile]: index({ a: "one.safetensors" }) }, /one.safetensors: this shard is missing/],
    ["../ in the index", { [indexFile]: index({ a: "../one.safetensors" }) }, /tensor "a": weight_map sends it to/],
    [
      "an absolute path",
      { [indexFile]: index({ a: "/tmp/one.safetensors" }) },
      /not to a safetensors file of this folder/,
    ],
    ["a backslash", { [indexFile]: index({ a: "..\\one.safetensors" }) }, /not to a safetensors file/],
    ["a number for a shard", { [indexFile]: index({ a: 7 }) }, /not to a safetensors file/],
    ["another ending", { [indexFile]: index({ a: "config.json" }) }, /not to a safetensors file/],
    [
      "a tensor listed twice",
      { ...one, [indexFile]: '{"weight_map":{"a":"one.safetensors","a":"two.safetensors"}}' },
      /"a" occurs twice/,
    ],
    [
      "a tensor that the shard lacks",
      { ...one, [indexFile]: index({ a: "one.safetensors", b: "one.safetensors" }) },
      /tensor "b": the index lists/,
    ],
    [
      "a tensor that the index lacks",
      { "one.safetensors": shard({ a: [1], b: [2] }), [indexFile]: index({ a: "one.safetensors" }) },
      /tensor "b": the index doesn't list/,
    ],
    [
      "a tensor in two shards",
      {
        ...one,
        "two.safetensors": shard({ a: [1], b: [2] }),
        [indexFile]: index({ a: "one.safetensors", b: "two.safetensors" }),
      },
      /tensor "a": the tensor is also in one.safetensors/,
    ],
    [
      "a tensor in another shard",
      {
        ...one,
        "two.safetensors": shard({ b: [2] }),
        [indexFile]: index({ a: "two.safetensors", b: "two.safetensors" }),
      },
      /tensor "a": /,
    ],
  ];
  it.each(broken)("refuses %s", async (_, files, message) => {
    using folder = temporaryFolder();
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder.path, name), content);
    expect((await refusal(folder.path)).message).toMatch(message);
  });

  it("refuses a folder that isn't there or is a file, and says what is expected", async () => {
    using folder = temporaryFolder();
    writeFileSync(join(folder.path, "f"), "");
    expect((await refusal(join(folder.path, "missing"))).message).toMatch(/no such model folder/);
    expect((await refusal("someone/some-model")).message).toMatch(/no such model folder.*Next: check the path/);
    expect((await refusal(join(folder.path, "f"))).message).toMatch(/this is a file.*Next: give the folder/);
  });

  it("follows links within the folder and into the blobs of its own cache, and no others", async () => {
    using folder = temporaryFolder();
    const model = join(folder.path, "models--a--b", "snapshots", "abc");
    const blobs = join(folder.path, "models--a--b", "blobs");
    const foreign = join(folder.path, "models--x--y", "blobs");
    for (const path of [model, blobs, foreign]) mkdirSync(path, { recursive: true });
    writeFileSync(join(blobs, "123"), shard({ a: [1] }));
    writeFileSync(join(foreign, "456"), shard({ a: [6] }));
    symlinkSync("../../blobs/123", join(model, "model.safetensors"));
    using checkpoint = await Checkpoint.open(model);
    expect([...checkpoint.readSync("a")]).toEqual([1]);
    symlinkSync(model, join(folder.path, "link"));
    (await Checkpoint.open(join(folder.path, "link"))).close();

    for (const target of [join(foreign, "456"), "/etc/passwd"]) {
      const evil = join(folder.path, "models--a--b", "snapshots", target.replaceAll("/", "_"));
      mkdirSync(evil);
      symlinkSync(target, join(evil, "model.safetensors"));
      expect((await refusal(evil)).message).toMatch(/leads out of the model folder.*Next: replace the link/);
    }
    const sideways = join(folder.path, "plain");
    mkdirSync(sideways);
    symlinkSync(join(blobs, "123"), join(sideways, "one.safetensors"));
    writeFileSync(join(sideways, indexFile), index({ a: "one.safetensors" }));
    expect((await refusal(sideways)).message).toMatch(/leads out of the model folder/);
  });

  it("refuses what is no regular file without hanging on it", async () => {
    using folder = temporaryFolder();
    mkdirSync(join(folder.path, "model.safetensors"));
    expect((await refusal(folder.path)).message).toMatch(/not a regular file/);
    using other = temporaryFolder();
    execFileSync("mkfifo", [join(other.path, "model.safetensors")]);
    expect((await refusal(other.path)).message).toMatch(/not a regular file/);
  });

  it("reads every tensor of what Python's safetensors wrote", async () => {
    const goldens = join(import.meta.dirname, "../network/testing/goldens");
    const families = readdirSync(goldens);
    expect(families.length).toBeGreaterThan(4);
    for (const family of families) {
      using outputs = await Checkpoint.open(join(goldens, family, "outputs"));
      expect(outputs.tensors.get("input_ids")).toMatchObject({ dtype: "I32", shape: [2, 24] });
      const hidden = await outputs.read("hidden.0");
      expect(new Float32Array(hidden.buffer).every(Number.isFinite)).toBe(true);
      using model = await Checkpoint.open(join(goldens, family));
      expect(model.tensors.size).toBeGreaterThan(10);
      for (const [name, info] of model.tensors) expect(model.readSync(name).byteLength).toBe(info.byteLength);
    }
  });
});
