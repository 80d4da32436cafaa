import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Tokenizer } from "../../../src/checkpoint/tokenizer/tokenizer.js";
import { compareLogits, type LogitsComparison } from "../../../src/evaluate/compare-logits.js";
import { generate } from "../../../src/evaluate/generation/generate.js";
import type { ExportSource } from "../../../src/format/contract/export-source.js";
import { planOnnx } from "../../../src/format/onnx/plan.js";
import { type WriteOnnxOptions, writeOnnx } from "../../../src/format/onnx/write.js";
import { openOnnx } from "../../../src/run/verify/runtime/onnx-runtime.js";
import { writeCutModel } from "../../fixtures/cut-model.js";
import { ourLogits, ourNetwork } from "../our-network.js";
import { type RtnScheme, roundedOnce, rtnSource } from "../rtn-source.js";
import { importOnnxRuntime } from "./onnx-runtime.js";

/** The part of @huggingface/transformers that the judge uses. */
interface TransformersJs {
  readonly env: { localModelPath: string; allowRemoteModels: boolean; allowLocalModels: boolean };
  readonly AutoTokenizer: { from_pretrained(name: string): Promise<JsTokenizer> };
  readonly AutoModelForCausalLM: { from_pretrained(name: string, options: object): Promise<JsModel> };
}

interface JsTokenizer {
  (text: string | readonly string[], options?: object): Promise<object> | object;
  padding_side: string;
}

interface JsModel {
  generate(options: object): Promise<{ tolist(): bigint[][] }>;
  dispose(): Promise<unknown>;
}

async function importTransformersJs(): Promise<TransformersJs | null> {
  const name = "@huggingface/transformers";
  try {
    return (await import(name)) as TransformersJs;
  } catch {
    return null;
  }
}

/** Another model by choice; its logits take more memory, so that fewer tokens are judged. */
const other = process.env["CROSSBLOCK_JUDGE_MODEL"];
const model = other ?? "models/sotu-llama-7m";
/** Ten schemes twice over: depth would be nothing but time. */
let shallow = model;
const count = other === undefined ? 160 : 64;
const runtime = await importOnnxRuntime();
const noRuntime = runtime === null ? " (skipped: onnxruntime-node is not installed)" : "";
const transformers = await importTransformersJs();
const noLibrary = transformers === null ? " (skipped: @huggingface/transformers is not installed)" : "";
const address = readFileSync("test/fixtures/address.txt", "utf8");
let scratch = "";

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-onnx-judge-"));
  if (other !== undefined) return;
  shallow = join(scratch, "shallow");
  await writeCutModel(shallow, 2);
});

afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

const everywhere =
  (bits: number, group: number | null, symmetric = true): ((module: string) => RtnScheme) =>
  () => ({ bits, group, symmetric });

const cases: Readonly<Record<string, (module: string) => RtnScheme | null>> = {
  floats: () => null,
  "W4 g32": everywhere(4, 32),
  "W4 g64 asym": everywhere(4, 64, false),
  "W4 channel": everywhere(4, null),
  "W3 g64": everywhere(3, 64),
  "W2 g64": everywhere(2, 64),
  "W2 g32 asym": everywhere(2, 32, false),
  "W8 g32": everywhere(8, 32),
  "W8 channel asym": everywhere(8, null, false),
  mixed: (module) =>
    module.endsWith("down_proj")
      ? null
      : { bits: module.includes("mlp") ? 2 : 4, group: 64, symmetric: module.includes("q_proj") },
};

async function judgedSource(
  folder: string,
  schemeOf: (module: string) => RtnScheme | null,
): Promise<ExportSource & Disposable> {
  return roundedOnce(await rtnSource(folder, { schemeOf }));
}

async function addressIds(): Promise<number[]> {
  const tokenizer = await Tokenizer.open(model);
  return [...tokenizer.encode(address)].slice(0, count);
}

describe.skipIf(runtime === null)(`onnxruntime reads what crossblock writes${noRuntime}`, () => {
  it("computes what our network computes with the same codes", async () => {
    if (runtime === null) return;
    const ids = await addressIds();
    const table: Record<string, LogitsComparison> = {};
    for (const [name, schemeOf] of Object.entries(cases)) {
      using source = await judgedSource(shallow, schemeOf);
      using decoder = await ourNetwork(source);
      const ours = ourLogits(decoder, [ids]);
      const out = mkdtempSync(join(scratch, "out-"));
      const judge = async (label: string, options: WriteOnnxOptions): Promise<void> => {
        const written = await writeOnnx(source, out, options);
        const file = join(out, written.model);
        for (const level of schemeOf("") === null ? [0] : [0, 4]) {
          // The data stay where they are: another graph over the same file.
          writeFileSync(file, planOnnx(source, { ...options, accuracyLevel: level === 0 ? 0 : 4 }).graph);
          await using network = await openOnnx(runtime, file);
          table[`${name}, ${label}, level ${level}`] = compareLogits(
            (await network.run({ ids: [ids] })).logits,
            ours,
            ids,
          );
        }
      };
      await judge("fp32", {});
      if (name === "W4 g32" || name === "W2 g64") await judge("fp16", { precision: "fp16" });
    }
    console.table(table);
    for (const [
      name,
      { divergence, largestDifference, topAgreement, perplexity, referencePerplexity },
    ] of Object.entries(table)) {
      if (name.endsWith("fp32, level 0")) {
        expect(largestDifference, name).toBeLessThan(5e-4);
        expect(divergence, name).toBeLessThan(1e-8);
        expect(topAgreement, name).toBe(1);
      } else if (other === undefined) {
        // fp16, or activations in 8 bits: the runtime's own rounding, on the same codes.
        expect(divergence, name).toBeLessThan(0.005);
        expect(Math.abs(perplexity / referencePerplexity - 1), name).toBeLessThan(0.01);
      }
    }
  });
});

describe.skipIf(transformers === null)(`transformers.js reads what crossblock writes${noLibrary}`, () => {
  it.each([
    ["W4 g32", "q4", {}],
    ["W2 g64", "q2f16", { precision: "fp16" }],
    ["W8 g32", "q8", {}],
    ["floats", "fp32", {}],
  ] as const)("continues a text as we do: %s as %s", async (name, dtype, options) => {
    if (transformers === null) return;
    const { env, AutoTokenizer, AutoModelForCausalLM } = transformers;
    const schemeOf = cases[name] ?? (() => null);
    using source = await judgedSource(shallow, schemeOf);
    const out = mkdtempSync(join(scratch, "folder-"));
    // Small data files, so that there are several.
    await writeOnnx(source, out, { accuracyLevel: 0, maxChunkBytes: 3e6, ...options });
    const config = JSON.parse(readFileSync(join(out, "config.json"), "utf8")) as Record<string, { dtype: string }>;
    expect(config["transformers.js_config"]?.dtype).toBe(dtype);
    Object.assign(env, { localModelPath: scratch, allowRemoteModels: false, allowLocalModels: true });
    const tokenizer = await AutoTokenizer.from_pretrained(basename(out));
    const network = await AutoModelForCausalLM.from_pretrained(basename(out), {});
    using decoder = await ourNetwork(source);
    const own = await Tokenizer.open(shallow);
    const prompts = ["The Congress of the United States has", "Peace"];
    const continued = prompts.map((prompt) => {
      const ids = own.encode(prompt);
      return [...generate(decoder, Int32Array.from(ids), { tokens: 24, temperature: 0 })];
    });
    for (const [i, prompt] of prompts.entries()) {
      const inputs = await tokenizer(prompt);
      const generated = await network.generate({ ...inputs, max_new_tokens: 24, do_sample: false });
      const ids = (generated.tolist()[0] ?? []).map(Number);
      expect(ids.slice(0, -24)).toEqual([...own.encode(prompt)]);
      if (dtype !== "q2f16") expect(ids.slice(-24)).toEqual(continued[i]);
    }
    // Of different lengths, so that the shorter one is padded on the left.
    tokenizer.padding_side = "left";
    const batch = await tokenizer(prompts, { padding: true });
    const both = (await network.generate({ ...batch, max_new_tokens: 24, do_sample: false })).tolist();
    if (dtype !== "q2f16") expect(both.map((ids) => ids.slice(-24).map(Number))).toEqual(continued);
    await network.dispose();
  });
});
