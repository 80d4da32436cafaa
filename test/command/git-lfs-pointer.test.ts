import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { readDocuments } from "../../src/calibration/text/documents.js";
import { Checkpoint } from "../../src/checkpoint/checkpoint.js";
import { readModelConfig } from "../../src/checkpoint/model-config.js";
import { temporaryFolder } from "../../src/checkpoint/testing/temporary-folder.js";
import { Tokenizer } from "../../src/checkpoint/tokenizer/tokenizer.js";
import { CrossblockError } from "../../src/errors.js";
import { readChoiceQuestions } from "../../src/evaluate/choices/choice-questions.js";
import { copyModelFiles } from "../../src/format/copy-model-files.js";
import { GgufFile } from "../../src/format/gguf/read.js";
import { OnnxFile } from "../../src/format/onnx/read.js";
import { inspectJob } from "../../src/run/job/inspect-job.js";
import { bundledModel } from "../fixtures/sample-text.js";

const pointer = (size: number): string =>
  `version https://git-lfs.github.com/spec/v1\noid sha256:${"0123456789abcdef".repeat(4)}\nsize ${size}\n`;

const context = { emit: () => {}, poll: () => {}, signal: new AbortController().signal };

async function firstDocument(path: string): Promise<unknown> {
  for await (const document of readDocuments([path], null)) return document;
  return null;
}

describe("a Git LFS pointer in place of a file", () => {
  it.each<[string, (folder: string, path: string) => unknown]>([
    ["model.safetensors", (folder) => Checkpoint.open(folder)],
    ["model.safetensors.index.json", (folder) => Checkpoint.open(folder)],
    ["tokenizer.json", (folder) => Tokenizer.open(folder)],
    ["tokenizer_config.json", (folder) => Tokenizer.open(folder)],
    ["config.json", (folder) => readModelConfig(folder)],
    ["tokenizer.model", (folder) => copyModelFiles(folder, `${folder}-copy`)],
    ["text.txt", (_, path) => firstDocument(path)],
    ["text.jsonl", (_, path) => firstDocument(path)],
    ["text.parquet", (_, path) => firstDocument(path)],
    ["text.parquet", (folder) => firstDocument(folder)],
    ["questions.jsonl", (_, path) => readChoiceQuestions(path)],
    ["model.gguf", (_, path) => GgufFile.open(path)],
    ["model.gguf", (_, path) => inspectJob(path, context)],
    ["model.onnx", (_, path) => OnnxFile.open(path)],
    ["model.safetensors", (folder) => inspectJob(folder, context)],
  ])("%s is named, with its size and what to run", async (name, action) => {
    using place = temporaryFolder();
    const folder = join(place.path, "model");
    mkdirSync(folder);
    mkdirSync(`${folder}-copy`);
    for (const file of ["config.json", "tokenizer.json", "tokenizer_config.json"]) {
      cpSync(join(bundledModel, file), join(folder, file));
    }
    const path = join(folder, name);
    writeFileSync(path, pointer(14_600_000));
    const error = await (async () => action(folder, path))().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(CrossblockError);
    const { what, where, next, exitCode } = error as CrossblockError;
    expect(what).toBe("a Git LFS pointer instead of the file (14.6 MB)");
    expect(where).toBe(path);
    expect(next).toContain(`run \`git lfs pull\` in ${dirname(path)}`);
    expect(exitCode).toBe(2);
  });

  it("a shard of several", async () => {
    using folder = temporaryFolder();
    const shard = "model-00001-of-00002.safetensors";
    const index = { weight_map: { a: shard, b: "model-00002-of-00002.safetensors" } };
    writeFileSync(join(folder.path, "model.safetensors.index.json"), JSON.stringify(index));
    writeFileSync(join(folder.path, shard), pointer(4_976_698_672));
    await expect(Checkpoint.open(folder.path)).rejects.toThrow(/00001-of-00002.*Git LFS pointer .*\(5\.0 GB\)/);
  });

  it("a text that speaks of git-lfs is a text", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "text.txt");
    writeFileSync(path, "version https://git-lfs.github.com/spec/v1 is how such files begin");
    expect(await firstDocument(path)).toMatchObject({ source: path });
  });
});
