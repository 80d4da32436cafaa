import { describe, expect, it } from "vitest";
import { Checkpoint } from "../../checkpoint/checkpoint.js";
import { type ModelConfig, readModelConfig } from "../../checkpoint/model-config.js";
import { temporaryFolder } from "../../checkpoint/testing/temporary-folder.js";
import { CalibrationError, CheckpointError } from "../../errors.js";
import { keep, liveHandles, noGrad, scope, Tensor } from "../../tensor/index.js";
import { checkpointSource, type TensorSource } from "../owned-weights.js";
import { gradientsAndSlopes } from "../testing/block-gradients.js";
import { goldens, type TinyModel, tinyIds, tinyModel, tinyWeights, writeTinyModel } from "../testing/tiny-models.js";
import type { UnitPlan } from "../unit.js";
import { loadUnit, mapUnit, type OwnedUnitWeights } from "../unit-weights.js";
import { forwardBlock } from "./block/forward-block.js";
import { RotaryTables } from "./block/rotary/rotary-tables.js";
import { applyHead, Decoder, embed } from "./decoder.js";
import { decoderUnits } from "./decoder-units.js";
import { blockOf, type DecoderSpec } from "./spec/decoder-spec.js";
import { readSpec } from "./spec/read-spec.js";
import { tokenIds } from "./token-ids.js";
import { loadEmbedding, loadHead, loadOuter } from "./weights.js";

function loadBlock(source: TensorSource, spec: DecoderSpec, block: number): OwnedUnitWeights {
  return loadUnit(source, decoderUnits(spec)[block] as UnitPlan);
}

const onCpu = { device: "cpu", dtype: "float32" } as const;

/** A decoder whose weights come straight from the formula. */
function decoderOf(model: TinyModel): Decoder {
  return Decoder.load(sourceOf, readSpec(model.config as ModelConfig));
}

const sourceOf = (name: string, shape: readonly number[]): Tensor => Tensor.from(tinyWeights(name, shape), shape);

function idsOf(model: TinyModel): Tensor {
  return tokenIds(readSpec(model.config as ModelConfig), tinyIds(model), [model.batch, model.time], "cpu");
}

function difference(a: Tensor, b: Tensor | readonly number[]): number {
  const other = b instanceof Tensor ? b : Tensor.from(Float32Array.from(b), a.shape);
  return a.sub(other).abs().amax().item();
}

describe.each(Object.keys(goldens.models))("%s", (name) => {
  const model = tinyModel(name);

  it("has the logits and hidden states of transformers", async () => {
    using folder = temporaryFolder();
    await writeTinyModel(folder.path, model);
    using checkpoint = await Checkpoint.open(folder.path);
    const spec = readSpec(await readModelConfig(folder.path));
    scope(() => {
      using decoder = Decoder.load(checkpointSource(checkpoint, onCpu), spec);
      const ids = idsOf(model);
      const logits = decoder.logits(ids);
      expect(logits.shape).toEqual([model.batch, model.time, spec.vocabSize]);
      expect(difference(logits.narrow(1, model.time - 2, 2), model.logits)).toBeLessThan(1e-5);
      const [embedded = [], afterFirst = []] = model.hidden;
      const x = embed(spec, decoder.outer, ids);
      const place = (y: Tensor): Tensor => y.select(0, 0).select(0, model.time - 1);
      expect(difference(place(x), embedded)).toBeLessThan(1e-5);
      const [block] = decoder.blocks;
      if (block === undefined) throw new Error("no block");
      using rotary = RotaryTables.create(spec, model.time, "cpu");
      const y = noGrad(() => forwardBlock(blockOf(spec, 0), block, x, { rotary }));
      expect(difference(place(y), afterFirst)).toBeLessThan(1e-5);
    });
  });

  it("gives the same with a cache, in pieces and token by token", () => {
    scope(() => {
      using decoder = decoderOf(model);
      const ids = idsOf(model);
      const whole = decoder.logits(ids);
      const caches = decoder.caches();
      let at = 0;
      for (const count of [4, 1, 3, 1, 1, 1]) {
        const part = decoder.logits(ids.narrow(1, at, count), { caches });
        expect(difference(part, whole.narrow(1, at, count))).toBeLessThan(2e-5);
        at += count;
      }
      expect(caches.map((cache) => cache.length)).toEqual(caches.map(() => model.time));
      for (const cache of caches) cache.dispose();
      const last = decoder.logits(ids, { lastOnly: true });
      expect(difference(last, whole.narrow(1, model.time - 1, 1))).toBeLessThan(1e-6);
    });
  });

  it("runs block by block, each loaded alone", () => {
    scope(() => {
      using decoder = decoderOf(model);
      const { spec } = decoder;
      const ids = idsOf(model);
      const rotary = RotaryTables.create(spec, model.time, "cpu");
      const embedding = loadEmbedding(sourceOf, spec);
      let x = embed(spec, embedding, ids);
      for (let k = 0; k < spec.blocks.length; k++) {
        const block = loadBlock(sourceOf, spec, k);
        x = noGrad(() => forwardBlock(blockOf(spec, 0), block, x, { rotary }));
        block.dispose();
      }
      const head = loadHead(sourceOf, spec);
      expect(difference(applyHead(spec, head, x), decoder.logits(ids))).toBe(0);
    });
  });
});

describe("forwardBlock", () => {
  const model = tinyModel("llama, biases, tied, wide heads");
  const spec = readSpec(model.config as ModelConfig);

  it("asks the hook for every Linear, once, in order", () => {
    scope(() => {
      const block = loadBlock(sourceOf, spec, 0);
      const rotary = RotaryTables.create(spec, 5, "cpu");
      const seen: [string, readonly number[]][] = [];
      const x = Tensor.randn([2, 5, 32]);
      const product = (role: string, input: Tensor, { weight, bias }: { weight: Tensor; bias: Tensor | null }) => {
        seen.push([role, input.shape]);
        return input.linear(weight, bias);
      };
      const hooked = forwardBlock(blockOf(spec, 0), block, x, { rotary, product });
      expect(difference(hooked, forwardBlock(blockOf(spec, 0), block, x, { rotary }))).toBe(0);
      expect(seen.map(([role]) => role)).toEqual(["q", "k", "v", "o", "gate", "up", "down"]);
      expect(Object.fromEntries(seen)).toMatchObject({ q: [2, 5, 32], o: [2, 5, 48], down: [2, 5, 24] });
    });
  });

  it.each(["llama", "qwen3", "opt", "mistral, window of 4"])("has gradients to input and weights: %s", (name) => {
    scope(() => {
      const wide = readSpec(tinyModel(name).config as ModelConfig);
      const block = mapUnit(loadBlock(sourceOf, wide, 0), (tensor) => keep(tensor.to("float64")));
      for (const [gradient, slope] of gradientsAndSlopes(wide, 0, block, 1e-5)) {
        expect(gradient - slope).toBeCloseTo(0, 5);
      }
    });
  });

  it("keeps the dtype of its input: bfloat16 in, bfloat16 out, near the float32 result", () => {
    scope(() => {
      const narrow = mapUnit(loadBlock(sourceOf, spec, 0), (tensor) => keep(tensor.to("bfloat16")));
      const wide = loadBlock(sourceOf, spec, 0);
      const x = Tensor.randn([2, 5, 32]);
      const table = (dtype: "float32" | "bfloat16"): RotaryTables => RotaryTables.create(spec, 5, "cpu", dtype);
      const y = forwardBlock(blockOf(spec, 0), narrow, x.to("bfloat16"), { rotary: table("bfloat16") });
      expect(y.dtype).toBe("bfloat16");
      const exact = forwardBlock(blockOf(spec, 0), wide, x, { rotary: table("float32") });
      expect(difference(y.to("float32"), exact)).toBeLessThan(0.1);
    });
  });
});

describe("loading", () => {
  const model = tinyModel("llama");
  const spec = readSpec(model.config as ModelConfig);
  const target = "model.layers.1.mlp.up_proj.weight";

  async function failure(change: Parameters<typeof writeTinyModel>[2]): Promise<CheckpointError> {
    using folder = temporaryFolder();
    await writeTinyModel(folder.path, model, change);
    using checkpoint = await Checkpoint.open(folder.path);
    const before = liveHandles();
    try {
      Decoder.load(checkpointSource(checkpoint, onCpu), spec).dispose();
    } catch (error) {
      expect(liveHandles()).toBe(before);
      expect(error).toBeInstanceOf(CheckpointError);
      return error as CheckpointError;
    }
    throw new Error("the model was loaded");
  }

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    "names the tensor that holds %s",
    async (v) => {
      const error = await failure((name, values, shape) => {
        if (name === target) values[37] = v;
        return shape;
      });
      expect(error.where).toContain(target);
      expect(error.what).toContain("NaN");
      expect(error.next).toContain("download");
    },
  );

  it("names the tensor of another shape, and both shapes", async () => {
    const error = await failure((name, _values, shape) => (name === target ? [23, 32] : shape));
    expect(error.where).toContain(target);
    expect(error.what).toContain("[23, 32]");
    expect(error.what).toContain("[24, 32]");
    expect(error.next).toContain("config.json");
  });

  it.each([target, "model.norm.weight", "lm_head.weight"])("names the missing tensor %s", async (missing) => {
    const error = await failure((name, _values, shape) => (name === missing ? null : shape));
    expect(error.where).toContain(missing);
    expect(error.next).toContain("config.json");
  });

  it("holds a tied embedding once, and frees everything", () => {
    const before = liveHandles();
    const tied = readSpec(tinyModel("opt").config as ModelConfig);
    const outer = loadOuter(sourceOf, tied);
    expect(outer.head).toBe(outer.embedding);
    outer.dispose();
    using decoder = decoderOf(model);
    decoder.logits(idsOf(model)).dispose();
    decoder.dispose();
    // The ids that idsOf made.
    expect(liveHandles() - before).toBe(1);
  });
});

describe("token ids", () => {
  const { config } = tinyModel("llama");
  const spec = readSpec(config as ModelConfig);

  it.each([-1, 19])("refuses the id %s", (id) => {
    expect(() => tokenIds(spec, Int32Array.of(1, id), [1, 2], "cpu")).toThrow(CalibrationError);
    expect(() => tokenIds(spec, Int32Array.of(1, id), [1, 2], "cpu")).toThrow(/tokenizer\.json/);
  });

  it("refuses more tokens than the model was made for, also with a cache", () => {
    expect(() => tokenIds(spec, new Int32Array(65), [1, 65], "cpu")).toThrow(/--context 64/);
    scope(() => {
      using decoder = decoderOf(tinyModel("llama"));
      const caches = decoder.caches();
      decoder.logits(tokenIds(spec, new Int32Array(64), [1, 64], "cpu"), { caches });
      expect(() => decoder.logits(tokenIds(spec, new Int32Array(1), [1, 1], "cpu"), { caches })).toThrow(/65 tokens/);
      for (const cache of caches) cache.dispose();
    });
  });
});
