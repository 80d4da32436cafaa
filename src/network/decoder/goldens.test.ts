import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Checkpoint } from "../../checkpoint/checkpoint.js";
import { readModelConfig } from "../../checkpoint/model-config.js";
import { type DType, noGrad, scope, Tensor } from "../../tensor/index.js";
import { checkpointSource, Decoder, embed, forwardBlock, RotaryTable, readSpec, type TensorSource } from "../index.js";
import { families } from "./families/index.js";

const goldens = join(import.meta.dirname, "../testing/goldens");
/** Where the second piece of a sequence begins that goes through the caches. */
const SPLIT = 14;

const dtypes: Readonly<Record<string, DType>> = { F32: "float32", I32: "int32" };

function readGolden(golden: Checkpoint, name: string): Tensor {
  const { shape, dtype } = golden.tensors.get(name) ?? { shape: [], dtype: "" };
  return Tensor.fromBytes(Uint8Array.from(golden.readSync(name)), shape, dtypes[dtype] ?? "float32");
}

function difference(a: Tensor, b: Tensor): number {
  return scope(() => a.sub(b).abs().amax().item());
}

it("there is a golden network of every family", () => {
  expect(readdirSync(goldens).sort()).toEqual([...families.keys()].sort());
});

describe.each([...families.keys()])("%s, as transformers saved it", (family) => {
  const folder = join(goldens, family);
  const placement = { device: "cpu", dtype: "float32" } as const;

  it("has its logits and hidden states to 1e-4, whole and with a cache", async () => {
    using checkpoint = await Checkpoint.open(folder);
    using golden = await Checkpoint.open(join(folder, "outputs"));
    const spec = readSpec(await readModelConfig(folder));
    scope(() => {
      const get = (name: string): Tensor => readGolden(golden, name);
      using decoder = Decoder.load(checkpointSource(checkpoint, placement), spec);
      const ids = get("input_ids").to("int64");
      const logits = get("logits");
      expect(logits.shape).toEqual([2, 24, spec.vocabSize]);
      expect(difference(decoder.logits(ids), logits)).toBeLessThan(1e-4);
      using rotary = RotaryTable.create(spec.positions, spec.attention.headDim, 24, "cpu");
      noGrad(() => {
        let x = embed(spec, decoder.outer, ids);
        decoder.blocks.forEach((block, k) => {
          expect(difference(x, get(`hidden.${k}`))).toBeLessThan(1e-4);
          x = forwardBlock(spec, block, x, { rotary });
        });
      });
      const caches = decoder.caches();
      const first = decoder.logits(ids.narrow(1, 0, SPLIT), { caches });
      expect(difference(first, logits.narrow(1, 0, SPLIT))).toBeLessThan(1e-4);
      for (let t = SPLIT; t < 24; t++) {
        const next = decoder.logits(ids.narrow(1, t, 1), { caches });
        expect(difference(next, logits.narrow(1, t, 1))).toBeLessThan(1e-4);
      }
      for (const cache of caches) cache.dispose();
    });
  });

  it("shows when any of its tensors is another one", async () => {
    using checkpoint = await Checkpoint.open(folder);
    const spec = readSpec(await readModelConfig(folder));
    const source = checkpointSource(checkpoint, placement);
    const logitsWithout = (changed: string | null): Tensor => {
      const altered: TensorSource = (name, shape) => {
        const tensor = source(name, shape);
        return name === changed ? noGrad(() => tensor.mul_(-1)) : tensor;
      };
      using decoder = Decoder.load(altered, spec);
      const ids = Tensor.from(
        Int32Array.from({ length: 24 }, (_, i) => (i * 7 + 3) % spec.vocabSize),
        [1, 24],
      );
      return decoder.logits(ids.to("int64"));
    };
    scope(() => {
      const own = logitsWithout(null);
      for (const name of checkpoint.tensors.keys()) {
        // The softmax cancels what adds the same to the scores of all keys, as this does without rotary positions.
        const cancels = name.endsWith("k_proj.bias") && spec.positions.kind === "learned";
        const moved = difference(logitsWithout(name), own);
        if (cancels) expect([name, moved]).toEqual([name, expect.closeTo(0, 4)]);
        else expect([name, moved > 1e-3]).toEqual([name, true]);
      }
    });
  });
});
