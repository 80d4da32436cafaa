import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parquetFiles } from "../../src/calibration/testing/parquet-files.js";
import { readDocuments } from "../../src/calibration/text/documents.js";
import { readModelConfig } from "../../src/checkpoint/model-config.js";
import { cases, mutate, mutated, onlyTypedErrors, repaired, seed } from "../../src/checkpoint/testing/fuzz.js";
import { temporaryFolder } from "../../src/checkpoint/testing/temporary-folder.js";
import { readChoiceQuestions } from "../../src/evaluate/choices/choice-questions.js";
import { openCompressedTensors } from "../../src/format/compressed-tensors/read.js";
import { writeCompressedTensors } from "../../src/format/compressed-tensors/write.js";
import { encodeHeader } from "../../src/format/gguf/file/header.js";
import { GgufFile } from "../../src/format/gguf/read.js";
import { openGptq } from "../../src/format/gptq/read.js";
import { writeGptq } from "../../src/format/gptq/write.js";
import type { QuantizedWeight } from "../../src/quant/quantized-weight.js";
import { memorySource } from "../format/memory-source.js";

const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());

/** Runs `read` on a file whose content is mutated each time; its arrays stay in proportion to it, but for read buffers. */
async function fuzz(path: string, good: Uint8Array, read: () => Promise<void>): Promise<void> {
  await fc.assert(
    fc.asyncProperty(mutated, async ({ mutations, repair }) => {
      const bytes = mutate(good, mutations);
      writeFileSync(path, repair && path.endsWith(".safetensors") ? repaired(bytes) : bytes);
      const before = process.memoryUsage().arrayBuffers;
      await onlyTypedErrors(read);
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * bytes.length + 2 ** 22);
    }),
    { numRuns: cases, seed },
  );
  writeFileSync(path, good);
}

const weight: QuantizedWeight = {
  bits: 4,
  groupSize: 32,
  perChannel: false,
  symmetric: true,
  rows: 8,
  columns: 64,
  codes: Uint8Array.from({ length: 512 }, (_, i) => i % 16),
  scales: Float32Array.from({ length: 16 }, (_, i) => (i + 1) / 8),
  zeroPoints: new Uint8Array(16).fill(8),
};

describe(`hostile files (seed ${seed})`, () => {
  it(`${cases} mutated GGUF files are read or refused`, async () => {
    const path = join(folder.path, "model.gguf");
    const header = encodeHeader(
      new Map([
        ["general.architecture", { type: "string", value: "llama" }],
        ["tokens", { type: "array", element: "string", values: ["a", "", "Ġé"] }],
        ["general.alignment", { type: "u32", value: 32 }],
      ]),
      [
        { name: "a.weight", type: "Q4_0", shape: [2, 32], offset: 0 },
        { name: "b.weight", type: "F32", shape: [3], offset: 64 },
      ],
    );
    const good = new Uint8Array(Buffer.concat([header, Buffer.alloc(96)]));
    await fuzz(path, good, async () => {
      using file = GgufFile.open(path);
      for (const name of file.tensors.keys()) file.dequantize(name);
    });
  });

  it.each([
    ["jsonl", Buffer.from('{"text":"first é"}\n\n{"messages":[{"role":"user","content":"Hi"}]}\n')],
    ["txt", Buffer.from("plain text, naïve 日本\n")],
    ["parquet", Buffer.from(parquetFiles.snappy, "base64")],
  ])(`${cases} mutated texts are read or refused: %s`, async (kind, good) => {
    const path = join(folder.path, `text.${kind}`);
    await fuzz(path, new Uint8Array(good), async () => {
      for await (const { text } of readDocuments([path], null)) expect(typeof text).toBe("string");
    });
  });

  it(`${cases} mutated files of questions are read or refused`, async () => {
    const path = join(folder.path, "questions.jsonl");
    const good = `{"context":"first é","choices":["a"," b"],"answer":1}\n\n{"question":"","choices":["c","d"],"gold":"B"}\n`;
    await fuzz(path, new TextEncoder().encode(good), async () => {
      for (const { choices, answer } of await readChoiceQuestions(path)) expect(choices[answer]).toBeTypeOf("string");
    });
  });

  describe.each([
    ["compressed-tensors", writeCompressedTensors, openCompressedTensors],
    ["gptq", writeGptq, openGptq],
  ] as const)("a result as %s", (format, write, open) => {
    const result = join(folder.path, format);
    const config = { model_type: "llama", hidden_size: 64, num_hidden_layers: 1 };
    beforeAll(async () => {
      writeFileSync(join(folder.path, "config.json"), JSON.stringify(config));
      const weights = new Map([["model.layers.0.mlp.up_proj", weight]]);
      const plain = { "model.norm.weight": { shape: [4], values: [1, 2, 3, 4] } };
      await write(memorySource({ folder: folder.path, config, weights, plain }), result);
    });

    it.each(["config.json", "model.safetensors"])(`with ${cases} mutations of %s is read or refused`, async (name) => {
      const path = join(result, name);
      await fuzz(path, new Uint8Array(readFileSync(path)), async () => {
        await readModelConfig(result);
        using opened = await open(result);
        for (const linear of opened.linears.keys()) await opened.readQuantized(linear);
        for (const plain of opened.plain.keys()) await opened.readPlain(plain);
      });
    });
  });
});
