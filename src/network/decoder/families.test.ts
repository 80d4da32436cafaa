import { describe, expect, it } from "vitest";
import { Checkpoint } from "../../checkpoint/checkpoint.js";
import { readModelConfig } from "../../checkpoint/model-config.js";
import { temporaryFolder } from "../../checkpoint/testing/temporary-folder.js";
import { keep, scope, Tensor } from "../../tensor/index.js";
import {
  blockOf,
  checkpointSource,
  Decoder,
  type DecoderSpec,
  decoderUnits,
  embed,
  families,
  forwardBlock,
  loadUnit,
  mapUnit,
  RotaryTables,
  readModel,
  type TensorSource,
  tokenIds,
  type UnitPlan,
} from "../index.js";
import { gradientsAndSlopes } from "../testing/block-gradients.js";
import { expertModels, familyModels, tinyIds, tinyModel, writeTinyModel } from "../testing/tiny-models.js";

const onCpu = { device: "cpu", dtype: "float32" } as const;

interface Opened {
  readonly spec: DecoderSpec;
  readonly source: TensorSource;
}

async function withModel(name: string, use: (opened: Opened) => void): Promise<void> {
  using folder = temporaryFolder();
  await writeTinyModel(folder.path, tinyModel(name));
  using stored = await Checkpoint.open(folder.path);
  const { spec, checkpoint } = readModel(await readModelConfig(folder.path), stored);
  scope(() => use({ spec, source: checkpointSource(checkpoint, onCpu) }));
}

function difference(a: Tensor, b: Tensor | readonly number[]): number {
  const other = b instanceof Tensor ? b : Tensor.from(Float32Array.from(b), a.shape);
  return a.sub(other).abs().amax().item();
}

it("every family that is in the table has a network that transformers computed", () => {
  const old = ["llama", "mistral", "qwen2", "qwen3", "opt"];
  // Parts of models that see, in test/network/text-towers.test.ts.
  const towers = ["qwen2_vl_text", "qwen2_5_vl_text", "qwen3_vl_text"];
  const tried = Object.values({ ...familyModels, ...expertModels }).map(({ config }) => String(config["model_type"]));
  // Older ones with experts are held against larger networks, in shared-goldens.test.ts.
  const older = ["mixtral", "qwen2_moe", "qwen3_moe", "granitemoe", "glm4_moe", "gpt_oss", "minimax_m2"];
  older.push("deepseek_v2", "deepseek_v3", "llama4_text", "qwen3_next", "qwen3_5_moe_text", "qwen3_vl_moe_text");
  for (const name of families.keys()) expect([...old, ...towers, ...older, ...tried]).toContain(name);
});

describe.each([...Object.keys(familyModels), ...Object.keys(expertModels)])("%s", (name) => {
  const model = tinyModel(name);

  it("has the logits and hidden states of transformers, and the same with a cache", () =>
    withModel(name, ({ spec, source }) => {
      using decoder = Decoder.load(source, spec);
      const ids = tokenIds(spec, tinyIds(model), [model.batch, model.time], "cpu");
      const logits = decoder.logits(ids);
      expect(difference(logits.narrow(1, model.time - 2, 2), model.logits)).toBeLessThan(1e-4);
      const [embedded = [], afterFirst = []] = model.hidden;
      const place = (y: Tensor): Tensor => y.select(0, 0).select(0, model.time - 1);
      const x = embed(spec, decoder.outer, ids);
      expect(difference(place(x), embedded)).toBeLessThan(1e-4);
      if (spec.blocks.length > 1) {
        using rotary = RotaryTables.create(spec, model.time, "cpu");
        const [block] = decoder.blocks;
        if (block === undefined) throw new Error("no block");
        expect(difference(place(forwardBlock(blockOf(spec, 0), block, x, { rotary })), afterFirst)).toBeLessThan(1e-4);
      }
      // LongRoPE's angles change with the length: transformers' cache then mixes both, and so does this one.
      if (name.includes("beyond")) return;
      const caches = decoder.caches();
      let at = 0;
      for (const count of [4, 1, 3, 1, 1, 1]) {
        const piece = decoder.logits(ids.narrow(1, at, count), { caches });
        expect(difference(piece, logits.narrow(1, at, count))).toBeLessThan(1e-4);
        at += count;
      }
      for (const cache of caches) cache.dispose();
    }));

  // Those of experts are in block/experts/forward-experts.test.ts.
  it.skipIf(Object.hasOwn(expertModels, name))("has gradients to its input and to the weights of every Linear", () =>
    withModel(name, ({ spec, source }) => {
      const last = spec.blocks.length - 1;
      for (const index of new Set([0, last])) {
        const unit = decoderUnits(spec)[index] as UnitPlan;
        const block = mapUnit(loadUnit(source, unit), (tensor) => keep(tensor.to("float64")));
        gradientsAndSlopes(spec, index, block, 1e-6).forEach(([gradient, slope], i) => {
          expect([i, Math.abs(gradient - slope) < 1e-5 * Math.max(1, Math.abs(slope))]).toEqual([i, true]);
        });
      }
    }),
  );
});
