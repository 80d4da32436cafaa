import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Checkpoint } from "../../src/checkpoint/checkpoint.js";
import { readModelConfig } from "../../src/checkpoint/model-config.js";
import { temporaryFolder } from "../../src/checkpoint/testing/temporary-folder.js";
import { writeCompressedTensors } from "../../src/format/compressed-tensors/write.js";
import type { ExportSource } from "../../src/format/contract/export-source.js";
import { exporters } from "../../src/format/exporters.js";
import { writeGptq } from "../../src/format/gptq/write.js";
import { checkpointSource, Decoder, DecoderNetwork, decoderUnits, readModel } from "../../src/network/index.js";
import { expertModels, familyModels, tinyModel, writeTinyModel } from "../../src/network/testing/tiny-models.js";
import { fromQuantizedWeight } from "../../src/quant/from-quantized-weight.js";
import type { RecipeName } from "../../src/recipe/job/recipe-names.js";
import { runRecipe } from "../../src/recipe/job/run-recipe.js";
import type { RecipeOptionsInput } from "../../src/recipe/options/recipe-options.js";
import { tinyJob, tinyTokens } from "../../src/recipe/testing/tiny-run.js";
import type { RequestContext } from "../../src/run/engine/serve-requests.js";
import { openModel } from "../../src/run/source/open-model.js";
import { keep, manualSeed, noGrad, scope, Tensor } from "../../src/tensor/index.js";

const onCpu = { device: "cpu", dtype: "float32" } as const;
const context: RequestContext<unknown> = { emit: () => {}, poll: () => {}, signal: new AbortController().signal };
const windows: RecipeOptionsInput = { window: { size: 1, overlap: 0, epochs: 2, batch: 2 } };
// Few ranges to choose from: the codes need not be good here, but are to come back.
const quick: RecipeOptionsInput = { range: { candidates: 6 }, gptq: { widths: [1] } };
function recipesWith(cbq: RecipeOptionsInput): readonly (readonly [RecipeName, RecipeOptionsInput])[] {
  return [
    ["rtn", quick],
    ["gptq", quick],
    ["cbq", { ...quick, ...cbq }],
  ];
}

/** What a recipe makes of a model folder, as every writer sees it. */
async function quantized(
  folder: string,
  recipe: RecipeName,
  scheme: string,
  options: RecipeOptionsInput,
): Promise<ExportSource & Disposable> {
  const stored = await Checkpoint.open(folder);
  const { spec, config, checkpoint } = readModel(await readModelConfig(folder), stored);
  const network = { checkpoint, spec, network: new DecoderNetwork(spec), folder };
  const { job, delivered } = tinyJob(network, recipe, scheme, options, {
    tokens: tinyTokens(spec, 4, 12),
    storage: "auto",
    results: null,
  });
  for (const _ of runRecipe(job));
  const coded = new Set(Array.from(delivered.weights.keys(), (name) => `${name}.weight`));
  return {
    config,
    folder,
    linears: delivered.weights,
    plain: new Map([...checkpoint.tensors].filter(([name]) => !coded.has(name))),
    activations: null,
    inputScales: new Map(),
    readQuantized: async (name) => delivered.weights.get(name) ?? Promise.reject(new Error(name)),
    readPlain: async (name) => delivered.plain.get(name) ?? checkpoint.read(name),
    [Symbol.dispose]: () => stored.close(),
  };
}

/** Logits of the network with what a result holds, decoded in memory. */
async function logitsOf(result: ExportSource, folder: string, ids: Tensor): Promise<Tensor> {
  using stored = await Checkpoint.open(folder);
  const { spec, checkpoint } = readModel(await readModelConfig(folder), stored);
  const full = checkpointSource(checkpoint, onCpu);
  const plain = new Map<string, Uint8Array>();
  for (const name of result.plain.keys()) plain.set(name, await result.readPlain(name));
  using decoder = Decoder.load((name, shape) => {
    const weight = result.linears.get(name.replace(/\.weight$/, ""));
    if (weight !== undefined) return keep(fromQuantizedWeight(weight as never, "cpu"));
    const bytes = plain.get(name);
    const dtype = checkpoint.tensors.get(name)?.dtype === "BF16" ? "bfloat16" : "float32";
    return bytes === undefined ? full(name, shape) : keep(Tensor.fromBytes(bytes, shape, dtype).to("float32"));
  }, spec);
  return decoder.logits(ids);
}

async function roundTrip(folder: string, scheme: string, out: string, cbq = windows): Promise<void> {
  using full = await openModel(folder, onCpu, context);
  const { vocabSize } = full.decoder.spec;
  const ids = scope(() =>
    keep(
      Tensor.from(
        Int32Array.from({ length: 20 }, (_, i) => (i * 7 + 3) % vocabSize),
        [2, 10],
      ).to("int64"),
    ),
  );
  const exact = full.decoder.logits(ids);
  for (const [recipe, options] of recipesWith(cbq)) {
    using result = await quantized(folder, recipe, scheme, options);
    expect(result.linears.size, recipe).toBeGreaterThan(5);
    const path = join(out, recipe);
    await writeCompressedTensors(result, path);
    using opened = await openModel(path, onCpu, context);
    const [own, read] = [await logitsOf(result, folder, ids), noGrad(() => opened.decoder.logits(ids))];
    const off = own.sub(read).abs().amax().div(own.abs().amax()).item();
    expect([recipe, off < 1e-6 ? "the same" : off]).toEqual([recipe, "the same"]);
    const error = read.sub(exact).square().mean().div(exact.square().mean()).item();
    expect([recipe, error < 1 ? "near" : error]).toEqual([recipe, "near"]);
    // The same codes for readers of GPTQ, under the names that the model has.
    const gptq = join(out, `${recipe}-gptq`);
    if ([...result.linears.values()].some(({ rows, columns }) => rows % 8 !== 0 || columns % 8 !== 0)) {
      await expect(writeGptq(result, gptq)).rejects.toThrow(/multiples of 8 on both sides/);
      continue;
    }
    await writeGptq(result, gptq);
    using written = await exporters.gptq.open(gptq);
    for await (const check of written.check(result)) expect([check.name, check.status]).toEqual([check.name, "same"]);
  }
}

describe.each([...Object.keys(familyModels), ...Object.keys(expertModels)])("%s", (name) => {
  const folder = temporaryFolder();

  beforeAll(async () => {
    manualSeed(9);
    await writeTinyModel(folder.path, tinyModel(name), (tensor, values, shape) => {
      // Random ones, as hard to round as those of a trained network.
      if (!/norm|ln_|layer_scalar|A_log|dt_bias/.test(tensor)) {
        const width = shape.at(-1) ?? 1;
        scope(() =>
          values.set(
            Tensor.randn([values.length])
              .mul(shape.length < 2 ? 0.1 : 0.8 / Math.sqrt(width))
              .toFloat32Array(),
          ),
        );
      }
      return shape;
    });
  });
  afterAll(() => folder[Symbol.dispose]());

  it("is quantized by rtn, gptq and cbq, and computes from the written bytes what the codes compute", async () => {
    using out = temporaryFolder();
    await roundTrip(folder.path, await schemeOf(folder.path, [8]), out.path);
  });
});

// Networks of transformers that stand beside a developer's checkout: all that are there.
const goldens = process.env["CROSSBLOCK_GOLDENS"] ?? join(import.meta.dirname, "../../../shared/goldens");
const names = existsSync(goldens)
  ? readdirSync(goldens).filter((name) => existsSync(join(goldens, name, "config.json")))
  : [];

describe("networks beside the checkout, in shared/goldens", () => {
  if (names.length === 0) it.skip("are not on this machine", () => {});
  for (const name of names) {
    it(`${name}: by rtn, gptq and cbq in windows of two blocks, and back from the written bytes`, async () => {
      using out = temporaryFolder();
      const folder = join(goldens, name);
      await roundTrip(folder, await schemeOf(folder, [32, 16, 8]), out.path, twoBlocks);
    });
  }
});

const twoBlocks: RecipeOptionsInput = { window: { size: 2, overlap: 0, epochs: 1, batch: 2 } };

/** 4 bits in the first groups that divide the inputs of every Linear; one a row where none does, as in some latents. */
async function schemeOf(folder: string, groups: readonly number[]): Promise<string> {
  using stored = await Checkpoint.open(folder);
  const { spec } = readModel(await readModelConfig(folder), stored);
  const widths = decoderUnits(spec).flatMap(({ layers }) => layers.map(({ columns }) => columns));
  const size = groups.find((each) => widths.every((width) => width % each === 0));
  return size === undefined ? "W4A16" : `W4A16g${size}`;
}
