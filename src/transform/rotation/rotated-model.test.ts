import { describe, expect, it } from "vitest";
import { Checkpoint } from "../../checkpoint/checkpoint.js";
import { readModelConfig } from "../../checkpoint/model-config.js";
import type { TensorReader } from "../../checkpoint/tensor-reader.js";
import { temporaryFolder } from "../../checkpoint/testing/temporary-folder.js";
import { checkpointSource, Decoder, type DecoderSpec, readSpec, tokenIds } from "../../network/index.js";
import { goldens, tinyIds, tinyModel, writeTinyModel } from "../../network/testing/tiny-models.js";
import { liveHandles, scope, Tensor } from "../../tensor/index.js";
import { RotatedModel } from "./rotated-model.js";

// In fp64, so that only what is stored differs.
function logits(reader: TensorReader, spec: DecoderSpec, ids: Int32Array, shape: readonly [number, number]): Tensor {
  using decoder = Decoder.load(checkpointSource(reader, { device: "cpu", dtype: "float64" }), spec);
  return decoder.logits(tokenIds(spec, ids, shape, "cpu"));
}

const families = Object.keys(goldens.models).filter((name) => tinyModel(name).config["model_type"] !== "opt");

describe("RotatedModel", () => {
  it.each(families)("computes what the model computes, with all of its tensors changed: %s", async (name) => {
    using folder = temporaryFolder();
    const model = tinyModel(name);
    // Gains far from 1, so that one that is lost or folded twice shows.
    await writeTinyModel(folder.path, model, (tensor, values, shape) => {
      if (tensor.includes("norm")) for (const [i, value] of values.entries()) values[i] = value * (0.5 + (i % 3));
      return shape;
    });
    using checkpoint = await Checkpoint.open(folder.path);
    const spec = readSpec(await readModelConfig(folder.path));
    const handles = liveHandles();
    {
      using rotated = new RotatedModel(checkpoint, spec, 3);
      scope(() => {
        const shape = [model.batch, model.time] as const;
        const expected = logits(checkpoint, spec, tinyIds(model), shape);
        const found = logits(rotated, rotated.spec, tinyIds(model), shape);
        const scale = expected.abs().amax().item();
        expect(found.sub(expected).abs().amax().item() / scale).toBeLessThan(1e-5);
      });
      expect(rotated.spec.tied).toBe(false);
      const kept = [...rotated.tensors.keys()].filter((tensor) => !rotated.changed.includes(tensor));
      // What a rotation between the blocks and within the values of a head does not reach.
      expect(
        kept.every((tensor) => /(?:q_norm|k_norm)\.weight|[qk]_proj\.bias|(?:gate|up)_proj\.bias/.test(tensor)),
      ).toBe(true);
      for (const tensor of rotated.changed) {
        expect(rotated.readSync(tensor).byteLength).toBe(rotated.tensors.get(tensor)?.byteLength);
      }
    }
    expect(liveHandles()).toBe(handles);
  });

  it("announces the tensors that its own are made from", async () => {
    using folder = temporaryFolder();
    await writeTinyModel(folder.path, tinyModel("llama"));
    using checkpoint = await Checkpoint.open(folder.path);
    const spec = { ...readSpec(await readModelConfig(folder.path)), tied: true };
    const announced: string[] = [];
    const source: TensorReader = {
      folder: checkpoint.folder,
      tensors: checkpoint.tensors,
      read: (name) => checkpoint.read(name),
      readSync: (name) => checkpoint.readSync(name),
      willRead: (names) => void announced.push(...names),
    };
    using rotated = new RotatedModel(source, spec, 0);
    const { embedding, head, finalNorm } = spec.names;
    rotated.willRead([`${head}.weight`, `${finalNorm}.weight`, "unknown"]);
    expect(announced).toEqual([`${embedding}.weight`, `${finalNorm}.weight`, "unknown"]);
  });

  it("spreads an outlier channel over all", async () => {
    using folder = temporaryFolder();
    await writeTinyModel(folder.path, tinyModel("llama"), (tensor, values, shape) => {
      const width = shape[1] as number;
      if (tensor.includes("embed_tokens")) for (let at = 3; at < values.length; at += width) values[at] = 100;
      return shape;
    });
    using checkpoint = await Checkpoint.open(folder.path);
    const spec = readSpec(await readModelConfig(folder.path));
    using rotated = new RotatedModel(checkpoint, spec, 0);
    scope(() => {
      const name = `${spec.names.embedding}.weight`;
      const row = Tensor.fromBytes(rotated.readSync(name), [spec.vocabSize, spec.hiddenSize], "float32").select(0, 0);
      const even = 100 / Math.sqrt(spec.hiddenSize);
      expect(row.abs().amin().item()).toBeGreaterThan(even * 0.9);
      expect(row.abs().amax().item()).toBeLessThan(even * 1.1);
    });
  });
});
