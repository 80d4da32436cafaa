import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { CheckpointError, EnvironmentError } from "../../errors.js";
import { Checkpoint } from "../checkpoint.js";
import { byteLengthOf, type SafetensorsDType } from "../dtype.js";
import { temporaryFolder } from "../testing/temporary-folder.js";
import { type OutputTensor, writeSafetensors } from "./write-safetensors.js";

function tensor(name: string, dtype: SafetensorsDType, shape: readonly number[], fill = 1): OutputTensor {
  const byteLength = byteLengthOf(dtype, shape) ?? 0;
  return { name, dtype, shape, byteLength, bytes: () => new Uint8Array(byteLength).fill(fill) };
}

describe("writeSafetensors", () => {
  it("writes what the format asks for, in the given order, and reads it back", async () => {
    using folder = temporaryFolder();
    const tensors = [tensor("z", "F32", [2, 3], 7), tensor("0", "BF16", [4], 8), tensor("__proto__", "I64", [], 9)];
    const written = await writeSafetensors(folder.path, tensors);
    expect(written.files).toEqual(["model.safetensors"]);
    expect(written.totalBytes).toBe(40);
    expect(readdirSync(folder.path)).toEqual(["model.safetensors"]);
    const bytes = readFileSync(join(folder.path, "model.safetensors"));
    const length = Number(bytes.readBigUInt64LE(0));
    expect(length % 8).toBe(0);
    const text = bytes.toString("utf8", 8, 8 + length);
    expect(text).toMatch(/^\{"__metadata__":\{"format":"pt"\},"z":\{.*\} *$/);
    using checkpoint = await Checkpoint.open(folder.path);
    expect([...checkpoint.tensors.keys()]).toEqual(["z", "0", "__proto__"]);
    expect(checkpoint.metadata.get("format")).toBe("pt");
    for (const [i, name] of ["z", "0", "__proto__"].entries()) {
      expect(new Set(await checkpoint.read(name))).toEqual(new Set([7 + i]));
    }
  });

  it("keeps every tensor aligned to its elements, without holes", async () => {
    using folder = temporaryFolder();
    const tensors = [
      tensor("a", "I8", [3]),
      tensor("b", "F32", [1]),
      tensor("c", "BF16", [3]),
      tensor("d", "I64", [1]),
    ];
    await writeSafetensors(folder.path, tensors);
    using checkpoint = await Checkpoint.open(folder.path);
    expect([...checkpoint.tensors.keys()]).toEqual(["d", "b", "c", "a"]);
  });

  it("splits into shards with an index, and replaces an earlier result of another split", async () => {
    using folder = temporaryFolder();
    const tensors = [..."abcde"].map((name, i) => tensor(name, "U8", [name === "c" ? 64 : 8], i));
    const written = await writeSafetensors(folder.path, tensors, { maxShardBytes: 16 });
    expect(written.files).toEqual([
      "model-00001-of-00003.safetensors",
      "model-00002-of-00003.safetensors",
      "model-00003-of-00003.safetensors",
      "model.safetensors.index.json",
    ]);
    const index = JSON.parse(readFileSync(join(folder.path, "model.safetensors.index.json"), "utf8"));
    expect(index.metadata.total_size).toBe(96);
    expect(index.weight_map.c).toBe("model-00002-of-00003.safetensors");
    {
      using checkpoint = await Checkpoint.open(folder.path);
      expect(new Set(checkpoint.readSync("e"))).toEqual(new Set([4]));
    }
    await writeSafetensors(folder.path, tensors, { maxShardBytes: 90 });
    expect(readdirSync(folder.path)).toEqual([
      "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors",
      "model.safetensors.index.json",
    ]);
    writeFileSync(join(folder.path, "config.json"), "{}");
    await writeSafetensors(folder.path, tensors);
    expect(readdirSync(folder.path)).toEqual(["config.json", "model.safetensors"]);
  });

  it("asks for one tensor at a time", async () => {
    using folder = temporaryFolder();
    const asked: string[] = [];
    const tensors = ["a", "b"].map((name) => ({
      ...tensor(name, "U8", [8]),
      bytes: async () => {
        asked.push(name);
        await new Promise((resolve) => setTimeout(resolve, 5));
        asked.push(`${name} done`);
        return new Uint8Array(8);
      },
    }));
    await writeSafetensors(folder.path, tensors);
    expect(asked).toEqual(["a", "a done", "b", "b done"]);
  });

  it.each<[string, OutputTensor[], RegExp]>([
    ["too few bytes", [{ ...tensor("a", "U8", [4]), bytes: () => new Uint8Array(3) }], /"a": 3 bytes were produced/],
    ["a wrong byteLength", [{ ...tensor("a", "F32", [4]), byteLength: 8 }], /"a": F32 \[4\] takes 16 bytes, not 8/],
    ["two of a name", [tensor("a", "U8", [1]), tensor("a", "U8", [1])], /two tensors of this name/],
    ["a forbidden name", [tensor("__metadata__", "U8", [1])], /can't have this name/],
    ["an impossible shape", [{ ...tensor("a", "U8", [1]), shape: [-1, -1] }], /impossible shape/],
  ])("refuses %s and leaves nothing", async (_, tensors, message) => {
    using folder = temporaryFolder();
    const error = await writeSafetensors(folder.path, tensors).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(CheckpointError);
    expect((error as CheckpointError).message).toMatch(message);
    expect((error as CheckpointError).next).toMatch(/report it/);
    expect(readdirSync(folder.path)).toEqual([]);
  });

  it("stops when aborted, with the old file in place and nothing half-written", async () => {
    using folder = temporaryFolder();
    await writeSafetensors(folder.path, [tensor("old", "U8", [8])]);
    const controller = new AbortController();
    const abort = (): Uint8Array => {
      controller.abort();
      return new Uint8Array(8);
    };
    const stopping = { ...tensor("b", "U8", [8]), bytes: abort };
    const { signal } = controller;
    await expect(writeSafetensors(folder.path, [tensor("a", "U8", [8]), stopping], { signal })).rejects.toThrow(
      /abort/i,
    );
    expect(readdirSync(folder.path)).toEqual(["model.safetensors"]);
    using checkpoint = await Checkpoint.open(folder.path);
    expect([...checkpoint.tensors.keys()]).toEqual(["old"]);
  });

  it("passes on the error of a tensor that fails, and leaves nothing", async () => {
    using folder = temporaryFolder();
    const failing = { ...tensor("a", "U8", [8]), bytes: () => Promise.reject(new Error("no such layer")) };
    await expect(writeSafetensors(folder.path, [failing])).rejects.toThrow("no such layer");
    expect(readdirSync(folder.path)).toEqual([]);
  });

  it("names the next action when the folder can't be written", async () => {
    using folder = temporaryFolder();
    writeFileSync(join(folder.path, "file"), "");
    const error = await writeSafetensors(join(folder.path, "file", "out"), []).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(EnvironmentError);
    expect((error as EnvironmentError).message).toMatch(
      /a part of the path is a file.*Next: give the path of a folder/,
    );
    expect((error as EnvironmentError).exitCode).toBe(1);
  });

  it("leaves nothing on a full disk, and works after space was made", async ({ skip }) => {
    using folder = temporaryFolder();
    const disk = join(folder.path, "disk");
    mkdirSync(disk);
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], { stdio: "ignore" });
    } catch {
      skip("mounting a small tmpfs is not permitted here");
    }
    try {
      writeFileSync(join(disk, "ballast"), new Uint8Array(600_000));
      const tensors = [tensor("a", "U8", [300_000]), tensor("b", "U8", [300_000])];
      const error = await writeSafetensors(disk, tensors).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(EnvironmentError);
      expect((error as EnvironmentError).message).toMatch(/no space left.*Next: free space/);
      expect(readdirSync(disk)).toEqual(["ballast"]);
      writeFileSync(join(disk, "ballast"), "");
      await writeSafetensors(disk, tensors);
      expect(readdirSync(disk)).toEqual(["ballast", "model.safetensors"]);
    } finally {
      execFileSync("umount", [disk]);
    }
  });

  const python = process.env["CROSSBLOCK_JUDGE_PYTHON"] ?? "/opt/judge/bin/python";
  it.skipIf(!existsSync(python))(
    "is read by the reference library with the same values (needs Python safetensors)",
    async () => {
      using folder = temporaryFolder();
      const values = Float32Array.from([1.5, -2, 3e-9]);
      await writeSafetensors(folder.path, [
        tensor("odd", "I8", [3], 5),
        { name: "w", dtype: "F32", shape: [3], byteLength: 12, bytes: () => new Uint8Array(values.buffer) },
        tensor("bf", "BF16", [2, 1], 0),
      ]);
      const script = `import json,sys; from safetensors.torch import load_file; t=load_file(sys.argv[1]+"/model.safetensors")
print(json.dumps({k:[str(v.dtype),list(v.shape),v.double().flatten().tolist()] for k,v in t.items()}))`;
      const seen = JSON.parse(execFileSync(python, ["-c", script, folder.path], { encoding: "utf8" }));
      expect(seen).toEqual({
        w: ["torch.float32", [3], [...values]],
        bf: ["torch.bfloat16", [2, 1], [0, 0]],
        odd: ["torch.int8", [3], [5, 5, 5]],
      });
    },
  );
});
