import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { evaluate } from "../../src/api/model.js";
import type { QuantizeOptions } from "../../src/api/quantize.js";
import { verifyResult } from "../../src/api/verify-result.js";
import { Checkpoint } from "../../src/checkpoint/checkpoint.js";
import type { JsonObject } from "../../src/checkpoint/json/json.js";
import { openCompressedTensors } from "../../src/format/compressed-tensors/read.js";
import { exporters } from "../../src/format/exporters.js";
import type { TensorGrid } from "../../src/quant/input/asymmetric-tensor.js";
import type { PlanEvent, QuantizeEvent } from "../../src/run/events/events.js";
import { readStoredInputs } from "../../src/run/source/trained/stored-inputs.js";
import { heard } from "../fixtures/engine-in-process.js";
import { quantized, weightHashes } from "../fixtures/in-process/quantized.js";
import { bundledModel, type Workplace, workplace } from "../fixtures/sample-text.js";

vi.mock("../../src/run/engine/engine-client.js", () => import("../fixtures/engine-in-process.js"));

const [BLOCKS, PARTS] = [2, 2];
let place: Workplace;
let model = "";

const at = (name: string): string => join(place.folder, name);
const given = (out: string, more: Partial<QuantizeOptions> = {}): QuantizeOptions => ({
  ...{ model, scheme: "W4A4", recipe: "kurtosis", out: at(out) },
  ...{ calibration: [place.text], samples: 24, context: 32, device: "cpu", score: false },
  kurtosis: { from: "scratch", epochs: 3, parts: PARTS, batch: 4, rate: 5e-3 },
  ...more,
});
const perplexity = async (path: string): Promise<number> =>
  (await evaluate(path, { text: place.text, context: 32, device: "cpu" })).value;

let whole: readonly QuantizeEvent[];
beforeAll(async () => {
  place = workplace(200);
  model = at("model");
  mkdirSync(model);
  for (const file of ["tokenizer.json", "tokenizer_config.json"]) cpSync(join(bundledModel, file), join(model, file));
  const config = JSON.parse(readFileSync(join(bundledModel, "config.json"), "utf8")) as Record<string, unknown>;
  const sizes = { hidden_size: 32, intermediate_size: 64, num_hidden_layers: BLOCKS, head_dim: 8 };
  const small = { ...config, ...sizes, num_attention_heads: 4, num_key_value_heads: 2, max_position_embeddings: 64 };
  writeFileSync(join(model, "config.json"), JSON.stringify(small));
  whole = await quantized(given("whole"));
});
afterAll(() => place[Symbol.dispose]());

describe("a model that is trained from config.json and a tokenizer", () => {
  it("is planned, trained in parts, and then rounded block by block", () => {
    const plan = whole.find((event) => event.event === "plan") as PlanEvent;
    expect(plan.windows).toEqual([...Array.from({ length: PARTS }, () => [0, 1]), [0, 0], [1, 1]]);
    expect(plan.windowSeconds.length).toBe(PARTS + BLOCKS);
    // The embedding alone is more than half of it.
    expect(plan.trainedParameters).toBeGreaterThan(4096 * 32);
    const done = whole.flatMap((event) => (event.event === "window-done" ? [event] : []));
    expect(done.map(({ window }) => window)).toEqual([0, 1, 2, 3]);
    expect(done[PARTS - 1]?.lossAfter?.total).toBeLessThan((done[0]?.lossBefore?.total ?? 0) - 1);
  });

  it("becomes an ordinary model folder whose ranges stand in config.json", async () => {
    const folder = at("whole/trained");
    using trained = await Checkpoint.open(folder);
    expect([...trained.tensors.values()].every(({ dtype }) => dtype === "BF16")).toBe(true);
    expect(existsSync(join(folder, "tokenizer.json"))).toBe(true);
    const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8")) as JsonObject;
    expect(config["quantization_config"]).toBeUndefined();
    const { grids } = readStoredInputs(config, folder) ?? { grids: new Map<string, TensorGrid>() };
    using result = await openCompressedTensors(at("whole"));
    expect(result.activations).toEqual({ bits: 4, granularity: "tensor", dynamic: false, zeroPoint: "integer" });
    for (const [module, step] of result.inputScales) {
      expect([module, step]).toEqual([module, grids.get(module)?.scale]);
      expect([module, result.inputZeroPoints?.get(module)]).toEqual([module, grids.get(module)?.zeroPoint]);
    }
    expect(result.inputScales.size).toBe(BLOCKS * 7);
    // The result's own configuration has no need of them.
    expect(JSON.stringify(result.config)).not.toContain("input_activations");
  });

  it("computes with those ranges: close to what was trained, and to its 4 bits", async () => {
    const trained = await perplexity(at("whole/trained"));
    const rounded = await perplexity(at("whole"));
    expect(trained).toBeLessThan(1500);
    expect(Math.abs(rounded / trained - 1)).toBeLessThan(0.1);
    const config = join(at("whole/trained"), "config.json");
    const text = readFileSync(config, "utf8");
    const { crossblock: _, ...float } = JSON.parse(text) as Record<string, unknown>;
    writeFileSync(config, JSON.stringify(float));
    const without = await perplexity(at("whole/trained"));
    writeFileSync(config, JSON.stringify({ ...float, crossblock: { input_activations: { num_bits: 5 } } }));
    await expect(perplexity(at("whole/trained"))).rejects.toThrow(/take that key out/);
    writeFileSync(config, text);
    expect(without).not.toBe(trained);
  });

  it("continues where it was stopped, in the training and behind it, to the same bytes", async () => {
    for (const windows of [1, PARTS, PARTS + 1]) {
      const out = `resumed-${windows}`;
      const stop = new AbortController();
      let done = 0;
      heard.event = ({ event }) => {
        if (event === "window-done" && ++done === windows) stop.abort(new Error("stopped"));
      };
      await expect(quantized({ ...given(out), signal: stop.signal })).rejects.toThrow("stopped");
      heard.event = () => {};
      await quantized(given(out));
      expect(weightHashes(at(out))).toEqual(weightHashes(at("whole")));
      expect(weightHashes(at(`${out}/trained`))).toEqual(weightHashes(at("whole/trained")));
    }
  });

  it("is verified, and replaced by a later result without leaving anything", async () => {
    const certified: boolean[] = [];
    for await (const event of verifyResult({ result: at("whole"), runtimes: false })) {
      if (event.event === "certified") certified.push(event.agrees);
    }
    expect(certified).toEqual([true]);
    const events = await quantized(given("resumed-1", { force: true, seed: 9 }));
    const replaced = events.find((event) => event.event === "replaced");
    expect(replaced?.event === "replaced" ? replaced.movedTo : "none").toBeNull();
    expect(weightHashes(at("resumed-1/trained"))).not.toEqual(weightHashes(at("whole/trained")));
  });

  it("is a model for other recipes, which take its ranges where they leave its inputs alone", async () => {
    const trained = at("whole/trained");
    const tensor = { model: trained, activation: { granularity: "tensor" } } as const;
    using whole = await openCompressedTensors(at("whole"));
    await quantized(given("rtn", { ...tensor, recipe: "rtn", scheme: "W3A4", kurtosis: undefined }));
    using nearest = await openCompressedTensors(at("rtn"));
    expect(nearest.inputZeroPoints).toEqual(whole.inputZeroPoints);
    expect(nearest.inputScales).toEqual(whole.inputScales);
    // Other bits of inputs have other ranges, which are measured.
    await quantized(given("rtn8", { ...tensor, recipe: "rtn", scheme: "W4A8", kurtosis: undefined }));
    using measured = await openCompressedTensors(at("rtn8"));
    expect(measured.activations?.zeroPoint).toBeUndefined();
    // And it can be trained on.
    const more = { from: "folder", epochs: 1, parts: 1, batch: 4 } as const;
    const events = await quantized(given("on", { model: trained, kurtosis: more }));
    const done = events.find((event) => event.event === "window-done");
    expect(done?.event === "window-done" ? done.lossBefore?.total : 9).toBeLessThan(7.4);
  });
});

describe("what does not go together is refused before work starts", () => {
  it.each<[string, Partial<QuantizeOptions>, RegExp]>([
    [
      "a folder without weights",
      { kurtosis: { epochs: 1 } },
      /neither model\.safetensors.*--set kurtosis\.from=scratch/,
    ],
    ["ranges of every token", { activation: { granularity: "token" } }, /--set activation\.granularity=tensor/],
    [
      "text that a model without training makes up",
      { calibration: ["self-generated"] },
      /makes up noise.*tokenizer\.json/,
    ],
    ["a rotation", { rotation: "hadamard" }, /--set rotation=none/],
    ["a budget of bits", { scheme: "W3A4", bitsBudget: 2.5 }, /--bits-budget/],
    [
      "grids that do not hold zero",
      { kurtosis: { from: "scratch", alignZero: false } },
      /--set kurtosis\.alignZero=true/,
    ],
    ["GPTQ's format with quantized inputs", { format: ["gptq"] }, /--format compressed-tensors/],
  ])("%s", async (_name, more, message) => {
    await expect(quantized(given("refused", { dryRun: true, ...more }))).rejects.toThrow(message);
  });

  it("writes the weights without inputs where a format holds weights only", async () => {
    const kurtosis = { from: "scratch", epochs: 1, parts: 1, batch: 8, codes: "nearest" } as const;
    await quantized(given("gguf", { scheme: "W4A16", format: ["gguf"], kurtosis }));
    expect(await exporters.gguf.find(at("gguf/gguf"))).not.toBeNull();
    const config = readFileSync(at("gguf/trained/config.json"), "utf8");
    expect(config).not.toContain("crossblock");
  });
});
