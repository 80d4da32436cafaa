import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { resultSizes, weightBytes } from "./result-sizes.js";

function folderOf(files: Readonly<Record<string, number>>): string {
  const folder = mkdtempSync(join(tmpdir(), "sizes-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const [name, bytes] of Object.entries(files)) {
    mkdirSync(join(folder, dirname(name)), { recursive: true });
    writeFileSync(join(folder, name), Buffer.alloc(bytes));
  }
  return folder;
}

it("sizes are those of the weight files that were written, without tokenizers and cards", async () => {
  const source = folderOf({ "model.safetensors": 100, "config.json": 1 });
  const written = folderOf({
    ...{ "model.safetensors": 41, "config.json": 7, "tokenizer.json": 9, "gguf/m.gguf": 43, "gguf/README.md": 3 },
    ...{ "onnx/onnx/model_q4.onnx": 5, "onnx/onnx/model_q4.onnx_data": 30, "onnx/tokenizer.json": 9 },
    ...{ "gptq/model.safetensors": 44, "gptq/config.json": 7 },
  });
  const formats = { "compressed-tensors": ".", gguf: "gguf/m.gguf", onnx: "onnx", gptq: "gptq" };
  const given = Object.entries(formats).map(([format, path]) => ({ format, path, embeddingBytes: 2 }));
  expect(await resultSizes(await weightBytes(source), given, written)).toEqual({
    source: 100,
    formats: given.map((each, i) => ({ ...each, bytes: [41, 43, 35, 44][i] })),
  });
});
