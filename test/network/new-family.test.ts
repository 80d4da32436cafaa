import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { Checkpoint } from "../../src/checkpoint/checkpoint.js";
import { readModelConfig } from "../../src/checkpoint/model-config.js";
import { temporaryFolder } from "../../src/checkpoint/testing/temporary-folder.js";
import { checkpointSource, Decoder, families, readModel, tokenIds } from "../../src/network/index.js";
import { tinyIds, tinyModel, writeTinyModel } from "../../src/network/testing/tiny-models.js";
import { scope, type Tensor } from "../../src/tensor/index.js";

// The one line in the table, for these tests only: what the guide shows, under a name that nothing else knows.
vi.mock(import("../../src/network/decoder/families/index.js"), async (original) => {
  const { families: known } = await original();
  const { granite } = await import("../../src/network/decoder/families/relatives/granite.js");
  const added = { ...granite, modelType: "granite_again" };
  return { families: new Map([...known, [added.modelType, added]]) };
});

const onCpu = { device: "cpu", dtype: "float32" } as const;
const model = tinyModel("granite");

async function logitsOf(folder: string): Promise<Tensor> {
  using stored = await Checkpoint.open(folder);
  const { spec, checkpoint } = readModel(await readModelConfig(folder), stored);
  using decoder = Decoder.load(checkpointSource(checkpoint, onCpu), spec);
  return decoder.logits(tokenIds(spec, tinyIds(model), [model.batch, model.time], "cpu"));
}

async function writeAs(folder: string, changes: Readonly<Record<string, unknown>>): Promise<void> {
  await writeTinyModel(folder, model);
  await writeFile(join(folder, "config.json"), JSON.stringify({ ...model.config, ...changes }));
}

describe("a family that is one table", () => {
  it("is in the list, and computes what transformers computes", async () => {
    using folder = temporaryFolder();
    await writeAs(folder.path, { model_type: "granite_again" });
    expect(families.has("granite_again")).toBe(true);
    const logits = await logitsOf(folder.path);
    scope(() => {
      const last = logits.narrow(1, model.time - 2, 2).toFloat32Array();
      model.logits.forEach((value, i) => {
        expect(last[i]).toBeCloseTo(value, 4);
      });
    });
  });

  it.each(["embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling"])(
    "reads %s, whose absence means 1",
    async (key) => {
      using folder = temporaryFolder();
      await writeAs(folder.path, { model_type: "granite_again", [key]: undefined });
      using other = temporaryFolder();
      await writeAs(other.path, { model_type: "granite_again", [key]: 1 });
      using own = temporaryFolder();
      await writeAs(own.path, { model_type: "granite_again" });
      const [absent, one, given] = [await logitsOf(folder.path), await logitsOf(other.path), await logitsOf(own.path)];
      scope(() => {
        expect(absent.sub(one).abs().amax().item()).toBe(0);
        expect(absent.sub(given).abs().amax().item()).toBeGreaterThan(1e-3);
      });
    },
  );
});
