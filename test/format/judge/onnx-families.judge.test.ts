import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ModelConfig } from "../../../src/checkpoint/model-config.js";
import { floatsFromBytes } from "../../../src/format/bits/float-bytes.js";
import type { ExportSource } from "../../../src/format/contract/export-source.js";
import { assertExpressible } from "../../../src/format/onnx/graph/graph-block.js";
import { type WriteOnnxOptions, writeOnnx } from "../../../src/format/onnx/write.js";
import { readSpec } from "../../../src/network/index.js";
import { familyModels, goldens, tinyIds, tinyModel, writeTinyModel } from "../../../src/network/testing/tiny-models.js";
import { type OnnxNetwork, type OnnxRuntime, openOnnx } from "../../../src/run/verify/runtime/onnx-runtime.js";
import { ourLogits, ourNetwork } from "../our-network.js";
import { type RtnScheme, roundToNearest, rtnSource } from "../rtn-source.js";
import { importOnnxRuntime, importOnnxRuntimeWeb } from "./onnx-runtime.js";

const runtime = await importOnnxRuntime();
const web = await importOnnxRuntimeWeb();
const noWeb = web === null ? " (skipped: onnxruntime-web is not installed)" : "";
const missing = runtime === null ? " (skipped: onnxruntime-node is not installed)" : "";
let scratch = "";

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-onnx-families-"));
});

afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

async function tinySource(name: string, scheme: RtnScheme | null): Promise<ExportSource & Disposable> {
  const folder = mkdtempSync(join(scratch, "model-"));
  await writeTinyModel(folder, tinyModel(name));
  return rtnSource(folder, { schemeOf: () => scheme });
}

/** `accuracyLevel` 0, because at 4 onnxruntime rounds activations. */
async function load(
  source: ExportSource,
  { on = runtime, ...options }: WriteOnnxOptions & { readonly on?: OnnxRuntime | null } = {},
): Promise<OnnxNetwork> {
  if (on === null) throw new Error("no runtime");
  const out = mkdtempSync(join(scratch, "out-"));
  const { model } = await writeOnnx(source, out, { accuracyLevel: 0, ...options });
  return openOnnx(on, join(out, model));
}

/** Two sequences of 11 tokens. */
function idsOf(name: string): number[][] {
  const tiny = tinyModel(name);
  const ids = [...tinyIds(tiny)];
  return Array.from({ length: tiny.batch }, (_, i) => ids.slice(i * tiny.time, (i + 1) * tiny.time));
}

function difference(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((largest, value, i) => Math.max(largest, Math.abs(value - (b[i] ?? Number.NaN))), 0);
}

describe.skipIf(runtime === null)(`onnxruntime computes every family as we do${missing}`, () => {
  // With factors, norms behind sublayers or none before, gains less one, a part of each head that turns, neighbours that turn.
  // Then blocks that differ in windows and positions, caps of scores and logits, attention and MLP side by side, a head's bias.
  const others = [
    ...["granite", "olmo2", "glm4", "phi3", "stablelm", "nemotron"],
    ...["gemma2", "gemma3_text", "smollm3", "olmo3", "exaone4", "cohere2", "gpt_neox", "phi"],
    ...["gemma", "arcee", "ernie4_5", "glm", "helium", "seed_oss", "vaultgemma", "cohere", "ministral"],
    ...[
      "starcoder2",
      "internlm3",
      "iquestcoder",
      "exaone",
      "cwm",
      "hyperclovax",
      "jais2",
      "gpt_neox, one after the other",
    ],
  ];
  it("no family that a graph is written of is left out", () => {
    const expressible = Object.entries(familyModels).flatMap(([name, { config }]) => {
      try {
        assertExpressible(readSpec(config as ModelConfig));
        return [name];
      } catch (error) {
        expect(String(error)).toMatch(/the ONNX graph of a .* is not written/);
        return [];
      }
    });
    expect(expressible.sort()).toEqual([...others].sort());
  });
  describe.each([...Object.keys(goldens.models), ...others])("%s", (name) => {
    it("a whole batch, and token by token with a cache", async () => {
      using source = await tinySource(name, null);
      using decoder = await ourNetwork(source);
      await using network = await load(source);
      const ids = idsOf(name);
      const ours = ourLogits(decoder, ids);
      const { logits } = await network.run({ ids });
      expect(difference(logits, ours)).toBeLessThan(5e-5);

      const vocabulary = decoder.spec.vocabSize;
      const [first = []] = ids;
      const alone = ours.subarray(0, first.length * vocabulary);
      let cache: Awaited<ReturnType<OnnxNetwork["run"]>>["cache"] = {};
      let at = 0;
      for (const count of [4, 1, 3, 1, 1, 1]) {
        const step = await network.run({ ids: [first.slice(at, at + count)], cache });
        expect(difference(step.logits, alone.subarray(at * vocabulary, (at + count) * vocabulary))).toBeLessThan(5e-5);
        ({ cache } = step);
        at += count;
      }
    });

    it("a batch padded on the left, and only the last logits", async () => {
      using source = await tinySource(name, null);
      using decoder = await ourNetwork(source);
      await using network = await load(source);
      const [long = [], other = []] = idsOf(name);
      const short = other.slice(0, 7);
      const [a, b] = [ourLogits(decoder, [long]), ourLogits(decoder, [short])];
      const vocabulary = decoder.spec.vocabSize;
      const padding = [0, long.length - short.length];
      const prompts = [long.slice(0, -1), [...Array.from({ length: 4 }, () => 0), ...short.slice(0, -1)]];
      const prompt = await network.run({ ids: prompts, padding, keep: 2 });
      const rows = (logits: Float32Array, from: number, count: number): Float32Array =>
        logits.subarray(from * vocabulary, (from + count) * vocabulary);
      expect(difference(rows(prompt.logits, 0, 2), rows(a, long.length - 3, 2))).toBeLessThan(5e-5);
      expect(difference(rows(prompt.logits, 2, 2), rows(b, short.length - 3, 2))).toBeLessThan(5e-5);
      const last = [long.slice(-1), short.slice(-1)];
      const step = await network.run({ ids: last, padding, cache: prompt.cache, keep: 1 });
      expect(difference(rows(step.logits, 0, 1), rows(a, long.length - 1, 1))).toBeLessThan(5e-5);
      expect(difference(rows(step.logits, 1, 1), rows(b, short.length - 1, 1))).toBeLessThan(5e-5);
    });
  });

  it.each([
    ["llama", { bits: 4, group: null, symmetric: true }],
    ["llama, biases, tied, wide heads", { bits: 3, group: null, symmetric: false }],
    ["mistral, window of 4", { bits: 2, group: null, symmetric: true }],
    ["qwen2", { bits: 2, group: null, symmetric: false }],
    ["qwen3", { bits: 8, group: null, symmetric: true }],
    ["opt", { bits: 6, group: null, symmetric: true }],
    ["granite", { bits: 4, group: null, symmetric: true }],
    ["olmo2", { bits: 4, group: null, symmetric: false }],
    ["glm4", { bits: 3, group: null, symmetric: true }],
    ["stablelm", { bits: 4, group: null, symmetric: true }],
    ["nemotron", { bits: 8, group: null, symmetric: true }],
  ] as const)("%s with quantized weights in padded blocks", async (name, scheme) => {
    using source = await tinySource(name, scheme);
    using decoder = await ourNetwork(source);
    const ids = idsOf(name);
    const ours = ourLogits(decoder, ids);
    await using exact = await load(source);
    expect(difference((await exact.run({ ids })).logits, ours)).toBeLessThan(5e-5);
    await using half = await load(source, { precision: "fp16" });
    const scale = ours.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
    expect(difference((await half.run({ ids })).logits, ours) / scale).toBeLessThan(0.03);
  });

  it("a quantized output matrix, where it is not the embedding", async () => {
    using whole = await tinySource("llama", { bits: 4, group: null, symmetric: false });
    const head = whole.plain.get("lm_head.weight");
    if (head === undefined) throw new Error("the model has no head of its own");
    const values = floatsFromBytes(await whole.readPlain(head.name), head.dtype, head.name);
    const [rows = 0, columns = 0] = head.shape;
    const layout = { bits: 8, groupSize: 16, perChannel: false, symmetric: true, rows, columns };
    const weight = roundToNearest(values, layout);
    const source: ExportSource = {
      ...whole,
      linears: new Map([...whole.linears, ["lm_head", layout]]),
      plain: new Map([...whole.plain].filter(([name]) => name !== head.name)),
      readQuantized: async (name) => (name === "lm_head" ? weight : whole.readQuantized(name)),
    };
    using decoder = await ourNetwork(source);
    await using network = await load(source);
    const ids = idsOf("llama");
    expect(difference((await network.run({ ids })).logits, ourLogits(decoder, ids))).toBeLessThan(5e-5);
  });

  it.skipIf(web === null)(`the WebAssembly of browsers computes the same${noWeb}`, async () => {
    for (const name of Object.keys(goldens.models)) {
      for (const bits of [2, 4, 8]) {
        using source = await tinySource(name, { bits, group: null, symmetric: bits !== 4 });
        using decoder = await ourNetwork(source);
        await using network = await load(source, { on: web });
        const ids = idsOf(name);
        const ours = ourLogits(decoder, ids);
        expect(difference((await network.run({ ids })).logits, ours), `${name}, ${bits} bits`).toBeLessThan(5e-5);
      }
    }
  });
});
