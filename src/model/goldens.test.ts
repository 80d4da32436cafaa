import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { Checkpoint } from "../checkpoint/checkpoint.js";
import { readModelConfig } from "../checkpoint/model-config.js";
import { noGrad, scope, Tensor } from "../tensor/index.js";
import { checkpointSource, Decoder, embed, forwardBlock, RotaryTable, readSpec } from "./index.js";

const families = ["llama-gqa", "mistral", "qwen2", "qwen3", "opt"];
const goldens = resolve(import.meta.dirname, "../../../shared/goldens");

function readGolden(file: string): Map<string, Tensor> {
  const bytes = readFileSync(file);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString()) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const dtypes: Record<string, "float32" | "int64" | "int32"> = { F32: "float32", I64: "int64", I32: "int32" };
  return new Map(
    Object.entries(header)
      .filter(([name]) => name !== "__metadata__")
      .map(
        ([
          name,
          {
            dtype,
            shape,
            data_offsets: [from, to],
          },
        ]) => [
          name,
          Tensor.fromBytes(
            Uint8Array.from(bytes.subarray(8 + length + from, 8 + length + to)),
            shape,
            dtypes[dtype] ?? "float32",
          ),
        ],
      ),
  );
}

describe.skipIf(!existsSync(goldens))("outputs of transformers (skipped without ../shared/goldens)", () => {
  it.each([...families, "llama_yarn", "llama_dynamic"])("%s: logits and hidden states to 1e-4", async (family) => {
    const folder = join(goldens, family);
    using checkpoint = await Checkpoint.open(folder);
    const spec = readSpec(await readModelConfig(folder));
    scope(() => {
      const golden = readGolden(join(folder, "golden.safetensors"));
      const get = (name: string): Tensor => golden.get(name) as Tensor;
      using decoder = Decoder.load(checkpointSource(checkpoint, { device: "cpu", dtype: "float32" }), spec);
      const ids = get("input_ids").to("int64");
      const difference = (a: Tensor, b: Tensor): number => a.sub(b).abs().amax().item();
      expect(difference(decoder.logits(ids), get("logits"))).toBeLessThan(1e-4);
      const rotary = RotaryTable.create(spec.positions, spec.attention.headDim, 64, "cpu");
      noGrad(() => {
        let x = embed(spec, decoder.outer, ids);
        decoder.blocks.forEach((block, k) => {
          expect(difference(x, get(`hidden.${k}`))).toBeLessThan(1e-4);
          x = forwardBlock(spec, block, x, { rotary });
        });
      });
      rotary?.dispose();
      // With a cache, token by token, the logits are the same.
      const caches = decoder.caches();
      const first = decoder.logits(ids.narrow(1, 0, 30), { caches });
      expect(difference(first, get("logits").narrow(1, 0, 30))).toBeLessThan(1e-4);
      for (let t = 30; t < 40; t++) {
        const next = decoder.logits(ids.narrow(1, t, 1), { caches });
        expect(difference(next, get("logits").narrow(1, t, 1))).toBeLessThan(1e-4);
      }
      for (const cache of caches) cache.dispose();
    });
  });
});
