import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect } from "vitest";
import type { JsonObject } from "../../src/checkpoint/json/json.js";
import type { ExportSource } from "../../src/format/contract/export-source.js";
import type { QuantizedWeight } from "../../src/quant/quantized-weight.js";
import { type MemorySource, memorySource } from "./memory-source.js";
import { roundToNearest } from "./rtn-source.js";

export const configText =
  '{"model_type": "llama", "rope_theta": 10000.0, "rms_norm_eps": 1e-05, "tie_word_embeddings": true}';
export const tokenizerText = '{"version": "1.0",   "spaces": "kept"}';
export let scratch = "";
export let model = "";
export let out = "";

/** Gives each test of a file, which calls this first, a model folder in a scratch folder of its own. */
export function useModelFolder(): void {
  beforeEach(() => {
    scratch = mkdtempSync(join(tmpdir(), "crossblock-folders-"));
    model = join(scratch, "model");
    out = join(scratch, "out");
    mkdirSync(model);
    writeFileSync(join(model, "config.json"), configText);
    writeFileSync(join(model, "tokenizer.json"), tokenizerText);
    writeFileSync(join(model, "chat_template.jinja"), "{{ messages }}\r\n");
    writeFileSync(join(model, "pytorch_model.bin"), "old weights");
    writeFileSync(join(model, "model.safetensors.index.json"), "{}");
    writeFileSync(join(model, ".hidden"), "cache");
    mkdirSync(join(model, "onnx"));
    writeFileSync(join(model, "onnx", "model.onnx"), "another format");
  });

  afterEach(() => {
    rmSync(scratch, { recursive: true, force: true });
  });
}

/** A weight with a fixed pattern, so that any two differ. */
export function weightOf(bits: number, groupSize: number | null, symmetric: boolean, seed = 1): QuantizedWeight {
  const [rows, columns] = [32, 64];
  const values = Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(seed * 37 + i * i));
  const layout = { bits, groupSize: groupSize ?? columns, perChannel: groupSize === null, symmetric, rows, columns };
  return roundToNearest(values, layout);
}

export function source(
  weights: Readonly<Record<string, QuantizedWeight>>,
  more: Partial<MemorySource> = {},
): ExportSource {
  return memorySource({
    folder: model,
    config: JSON.parse(configText) as JsonObject,
    weights: new Map(Object.entries(weights)),
    plain: {
      "model.embed_tokens.weight": { shape: [3, 2], values: [1, 2, 3, 4, 5, 6] },
      "model.norm.weight": { shape: [2], values: [0.1, -0.2] },
      "model.layers.0.mlp.up_proj.bias": { shape: [2], values: [7, 8] },
      "model.layers.1.mlp.up_proj.weight": { shape: [2, 2], values: [1, 0, 0, 1] },
    },
    ...more,
  });
}

export async function expectSame(written: ExportSource, original: ExportSource): Promise<void> {
  expect([...written.linears].sort()).toEqual(
    [...original.linears]
      .map(([name, { bits, groupSize, perChannel, symmetric, rows, columns }]) => [
        name,
        { bits, groupSize, perChannel, symmetric, rows, columns },
      ])
      .sort(),
  );
  for (const name of original.linears.keys()) {
    expect(await written.readQuantized(name), name).toEqual(await original.readQuantized(name));
  }
  expect([...written.plain.keys()].sort()).toEqual([...original.plain.keys()].sort());
  for (const name of original.plain.keys()) {
    expect(Buffer.compare(await written.readPlain(name), await original.readPlain(name)), name).toBe(0);
  }
  expect(written.config).toEqual(original.config);
}

export function readConfig(): JsonObject {
  return JSON.parse(readFileSync(join(out, "config.json"), "utf8")) as JsonObject;
}

export const mixed = (): Readonly<Record<string, QuantizedWeight>> => ({
  "model.layers.0.mlp.up_proj": weightOf(2, 16, true),
  "model.layers.0.mlp.down_proj": weightOf(4, null, false, 2),
  "model.layers.10.mlp.up_proj": weightOf(3, 32, false, 3),
  "model.layers.2.mlp.up_proj": weightOf(8, 64, true, 4),
});
