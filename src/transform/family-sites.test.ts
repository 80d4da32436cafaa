import { describe, expect, it } from "vitest";
import { Checkpoint } from "../checkpoint/checkpoint.js";
import { readModelConfig } from "../checkpoint/model-config.js";
import { temporaryFolder } from "../checkpoint/testing/temporary-folder.js";
import {
  blockOf,
  checkpointSource,
  Decoder,
  type DecoderSpec,
  decoderUnits,
  forwardBlock,
  loadUnit,
  RotaryTables,
  readModel,
  rotationObstacle,
  tokenIds,
  type UnitPlan,
} from "../network/index.js";
import { familyModels, tinyIds, tinyModel, writeTinyModel } from "../network/testing/tiny-models.js";
import { manualSeed, noGrad, scope, Tensor } from "../tensor/index.js";
import { RotatedModel } from "./rotation/rotated-model.js";
import { scaleSite } from "./scale-site.js";

const onCpu = { device: "cpu", dtype: "float32" } as const;

type Opened = ReturnType<typeof readModel>;

async function withModel(name: string, use: (opened: Opened) => void): Promise<void> {
  using folder = temporaryFolder();
  await writeTinyModel(folder.path, tinyModel(name));
  using stored = await Checkpoint.open(folder.path);
  const opened = readModel(await readModelConfig(folder.path), stored);
  noGrad(() => scope(() => use(opened)));
}

const producedChannels = ({ layers, norms }: UnitPlan, name: string): number =>
  layers.find((layer) => layer.name === name)?.rows ?? norms.find((norm) => norm.name === name)?.width ?? 0;

/** Sites of the first and of the last block, by their consumers, and what becomes of them. */
function sites(spec: DecoderSpec): readonly (readonly [UnitPlan, number])[] {
  const units = decoderUnits(spec);
  const last = units.length - 1;
  return [...new Set([0, last])].flatMap((k) => {
    const unit = units[k] as UnitPlan;
    return unit.sites.map((_, i) => [unit, i] as const);
  });
}

describe.each(Object.keys(familyModels))("sites of %s", (name) => {
  it("take factors where they say so, with the block computing the same, and refuse them elsewhere", () =>
    withModel(name, ({ spec, checkpoint }) => {
      for (const [unit, i] of sites(spec)) {
        const site = unit.sites[i];
        if (site === undefined) throw new Error("no site");
        const weights = loadUnit(checkpointSource(checkpoint, onCpu), unit);
        using rotary = RotaryTables.create(spec, 7, "cpu");
        manualSeed(11);
        const x = Tensor.randn([2, 7, spec.hiddenSize]);
        const output = (): Tensor => forwardBlock(blockOf(spec, unit.index), weights, x, { rotary });
        const before = output();
        const channels = producedChannels(unit, site.producer?.name ?? "");
        const scales = Tensor.randn([Math.max(1, channels)])
          .mul(0.3)
          .exp();
        const said = [unit.index, site.consumers.join()];
        if (site.producer === null || site.passes.kind === "none") {
          expect(() => scaleSite(weights, site, scales, "float32"), said.join(" ")).toThrow(/nothing folds/);
        } else {
          scaleSite(weights, site, scales, "float32");
          const moved = output().sub(before).abs().amax().div(before.abs().amax()).item();
          expect([...said, moved < 1e-5 ? "same" : moved]).toEqual([...said, "same"]);
        }
        weights.dispose();
      }
    }));

  it("are rotated with the network computing the same, or the reason is said", () =>
    withModel(name, ({ spec, checkpoint }) => {
      const obstacle = rotationObstacle(spec);
      if (obstacle !== null) {
        expect(obstacle).toMatch(/LayerNorms|norms? |learned positions/);
        return;
      }
      const model = tinyModel(name);
      const logits = (of: DecoderSpec, reader: Opened["checkpoint"]): Tensor => {
        using decoder = Decoder.load(checkpointSource(reader, onCpu), of);
        return decoder.logits(tokenIds(of, tinyIds(model), [model.batch, model.time], "cpu"));
      };
      using rotated = new RotatedModel(checkpoint, spec, 5);
      const [own, turned] = [logits(spec, checkpoint), logits(rotated.spec, rotated)];
      expect(turned.sub(own).abs().amax().div(own.abs().amax()).item()).toBeLessThan(3e-5);
    }));
});

it("families whose hidden states can be rotated are those with norms before their sublayers alone", async () => {
  const possible: string[] = [];
  for (const name of Object.keys(familyModels)) {
    await withModel(name, ({ spec }) => {
      if (rotationObstacle(spec) === null) possible.push(name);
    });
  }
  expect(possible).toEqual([
    ...["granite", "smollm3", "phi3", "phi3, longrope beyond its first context", "qwen3_5_text", "gemma", "vaultgemma"],
    ...["seed_oss", "arcee", "ernie4_5", "glm", "helium", "ministral", "ministral3", "hunyuan_v1_dense", "youtu"],
    ...["lfm2", "lfm2, biases and an older list", "apertus", "internlm3", "iquestcoder", "exaone", "cwm"],
  ]);
});
