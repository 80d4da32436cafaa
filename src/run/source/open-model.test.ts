import { mkdtempSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Checkpoint } from "../../checkpoint/checkpoint.js";
import { readModelConfig } from "../../checkpoint/model-config.js";
import { CheckpointError } from "../../errors.js";
import { writeCompressedTensors } from "../../format/compressed-tensors/write.js";
import { recordFile } from "../../format/written-files.js";
import { checkpointSource, Decoder, DecoderNetwork, linearName, readSpec } from "../../network/index.js";
import { TokenQuantizer } from "../../quant/input/activation.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { parseScheme } from "../../quant/scheme.js";
import { runRecipe } from "../../recipe/job/run-recipe.js";
import { rtn } from "../../recipe/rtn.js";
import { noGrad, Tensor } from "../../tensor/index.js";
import type { RequestContext } from "../engine/serve-requests.js";
import { Journal } from "../journal/journal.js";
import { recipeOptionsOf, resolveOptions } from "../options/options.js";
import { openModel } from "./open-model.js";

const model = fileURLToPath(new URL("../../../models/sotu-llama-7m", import.meta.url));
const place = { device: "cpu", dtype: "float32" } as const;
const context: RequestContext<unknown> = { emit: () => {}, poll: () => {}, signal: new AbortController().signal };

describe("openModel", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "crossblock-open-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each([
    ["W2A16g64", true, null],
    ["W4A16", false, null],
    ["W4A4g32", false, { bits: 4, granularity: "token", dynamic: true }],
    ["W8A8", false, { bits: 8, granularity: "token", dynamic: true }],
  ] as const)("computes from the files of %s what the codes in memory compute", async (name, asym, activations) => {
    const scheme = parseScheme(name, { asym });
    const config = await readModelConfig(model);
    const spec = readSpec(config);
    using checkpoint = await Checkpoint.open(model);
    const linears = new Map<string, QuantizedWeight>();
    using sink = await Journal.open({
      folder: join(folder, `${name}.work`),
      identity: {},
      windows: () => spec.blocks.length,
      choose: () => ({ microBatch: 1, threads: 1, finish: "none" }),
      warn: () => {},
      poll: () => {},
    });
    const options = resolveOptions({ model, scheme: name, asym, out: folder, recipe: "rtn" });
    const job = {
      checkpoint,
      network: new DecoderNetwork(spec),
      scheme,
      sink,
      seed: 0,
      tokens: null,
      poll: () => {},
      resume: null,
      results: null,
    } as const;
    const recipe = {
      recipe: rtn,
      options: recipeOptionsOf(options),
      gradients: "full",
      storage: "auto",
      ...place,
    } as const;
    for (const _ of runRecipe({ ...job, ...recipe, scratch: folder }));
    const result = sink.finished.exportSource(checkpoint, { name: "sotu", config, activations });
    for (const module of result.linears.keys()) linears.set(module, await result.readQuantized(module));
    expect(linears.size).toBe(56);

    // In memory: plain arithmetic on the codes, one number at a time, and a clip of our own.
    const source = checkpointSource(checkpoint, place);
    const clip = 0.9;
    const quantizer = activations === null ? null : new TokenQuantizer(activations.bits, "cpu", { clip, learn: false });
    using expected = Decoder.load(
      (tensor, shape) => {
        const weight = linears.get(tensor.replace(/\.weight$/, ""));
        if (weight === undefined) return source(tensor, shape);
        const { codes, scales, zeroPoints, columns, groupSize } = weight;
        const values = Float32Array.from(codes, (code, i) => {
          const group = Math.floor(i / columns) * (columns / groupSize) + Math.floor((i % columns) / groupSize);
          return (scales[group] ?? Number.NaN) * (code - (zeroPoints[group] ?? Number.NaN));
        });
        return Tensor.from(values, shape);
      },
      spec,
      () =>
        (_role, x, { weight, bias }) =>
          (quantizer?.apply(x) ?? x).linear(weight, bias),
    );

    const out = join(folder, name);
    await writeCompressedTensors(result, out);
    if (activations !== null) {
      const names = Array.from({ length: spec.blocks.length }, (_, k) =>
        (["q", "k", "v", "o", "gate", "up", "down"] as const).map((role) => linearName(spec, k, role)),
      ).flat();
      const values = Object.fromEntries(names.map((module) => [module, clip]));
      const { bits, granularity } = activations;
      const record = { scheme: name, activations: { bits, granularity, simulated: null, values } };
      await writeFile(join(out, recordFile), JSON.stringify(record));
    }
    using opened = await openModel(out, place, context);
    noGrad(() => {
      const ids = Tensor.from(
        BigInt64Array.from({ length: 64 }, (_, i) => BigInt((i * 97) % 4096)),
        [2, 32],
      );
      const [a, b] = [expected.logits(ids), opened.decoder.logits(ids)];
      expect(a.sub(b).abs().amax().item() / a.abs().amax().item()).toBeLessThan(1e-6);
    });
  });

  it("refuses a record that crossblock did not write", async () => {
    const out = join(folder, "W8A8");
    await writeFile(join(out, recordFile), JSON.stringify({ scheme: "W8A8", activations: { bits: 5 } }));
    const error: unknown = await openModel(out, place, context).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CheckpointError);
    expect(String(error)).toMatch(/crossblock\.json: .*activations\.bits.*Next: /);
  });
});
