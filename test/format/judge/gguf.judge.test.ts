import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cp, mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Checkpoint } from "../../../src/checkpoint/checkpoint.js";
import { parseJsonObject } from "../../../src/checkpoint/json/json.js";
import { readModelConfig } from "../../../src/checkpoint/model-config.js";
import { writeSafetensors } from "../../../src/checkpoint/safetensors/write-safetensors.js";
import { compareLogits, type LogitsComparison } from "../../../src/evaluate/compare-logits.js";
import { floatsFromBytes } from "../../../src/format/bits/float-bytes.js";
import type { ExportSource } from "../../../src/format/contract/export-source.js";
import { writeGguf } from "../../../src/format/gguf/write.js";
import { decodedSource } from "../../../src/format/source/decoded-source.js";
import { openLlamaCpp } from "../../../src/run/verify/runtime/llama-cpp.js";
import { type RtnScheme, roundedOnce, rtnSource } from "../rtn-source.js";
import { judgePython, missingPackage } from "./judge.js";
import { importLlamaCpp } from "./llama-cpp-package.js";

/** Another model by choice; its logits take more memory, so that fewer tokens are judged. */
const other = process.env["CROSSBLOCK_JUDGE_MODEL"];
const model = other ?? "models/sotu-llama-7m";
const tokens = other === undefined ? 160 : 64;
const llamaCpp = await importLlamaCpp();
const noRuntime = llamaCpp === null ? " (skipped: node-llama-cpp is not installed)" : "";
const noPython = missingPackage("transformers");
/** Everything that tokenizers disagree about. */
const difficult = readFileSync("test/fixtures/tokenizer-text.txt", "utf8");
/** Madison, 1815: text of the kind that the model was trained on, from the test part of its data. */
const address = readFileSync("test/fixtures/address.txt", "utf8");
let scratch = "";

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-gguf-judge-"));
});

afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

const cases: Readonly<Record<string, RtnScheme | null>> = {
  floats: null,
  "W8 g32": { bits: 8, group: 32, symmetric: true },
  "W4 g32": { bits: 4, group: 32, symmetric: true },
  "W4 g64": { bits: 4, group: 64, symmetric: true },
  "W4 channel": { bits: 4, group: null, symmetric: true },
  "W4 g32 asym": { bits: 4, group: 32, symmetric: false },
  "W4 g256 asym": { bits: 4, group: 256, symmetric: false },
  "W3 g64": { bits: 3, group: 64, symmetric: true },
  "W3 g256": { bits: 3, group: 256, symmetric: true },
  "W2 g64": { bits: 2, group: 64, symmetric: true },
  "W2 channel": { bits: 2, group: null, symmetric: true },
  "W2 g256 asym": { bits: 2, group: 256, symmetric: false },
};

async function judgedSource(scheme: RtnScheme | null): Promise<ExportSource & Disposable> {
  return roundedOnce(await rtnSource(model, { schemeOf: () => scheme }));
}

/** Cases whose groups divide every width of the model. */
async function fittingCases(): Promise<[string, RtnScheme | null][]> {
  const { hidden_size: hidden, intermediate_size: feedForward } = await readModelConfig(model);
  const fits = (group: number): boolean => Number(hidden) % group === 0 && Number(feedForward) % group === 0;
  return Object.entries(cases).filter(([, scheme]) => scheme === null || fits(scheme.group ?? 1));
}

/** The result's values as a folder of fp32 safetensors: what transformers shall compute with. */
async function writeReference(source: ExportSource, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await cp(join(source.folder, "config.json"), join(folder, "config.json"));
  const decoded = decodedSource(source);
  const tensors = [...decoded.plain.values()].map(({ name, dtype, shape }) => ({
    name,
    dtype: "F32" as const,
    shape,
    byteLength: 4 * shape.reduce((product, size) => product * size, 1),
    bytes: async () => new Uint8Array(floatsFromBytes(await decoded.readPlain(name), dtype, name).buffer),
  }));
  await writeSafetensors(folder, tensors);
}

async function referenceLogits(folders: readonly string[], tokens: readonly number[]): Promise<Float32Array[]> {
  const input = join(scratch, "tokens.json");
  writeFileSync(input, JSON.stringify([tokens]));
  const outputs = folders.map((folder) => join(folder, "logits"));
  for (const output of outputs) await mkdir(output);
  const pairs = folders.flatMap((folder, i) => [folder, join(outputs[i] ?? "", "model.safetensors")]);
  const run = spawnSync(judgePython, ["bench/judge/transformers_logits.py", input, ...pairs], { encoding: "utf8" });
  expect(run.stderr.includes("Traceback") ? run.stderr : "").toBe("");
  return Promise.all(
    outputs.map(async (output) => {
      using checkpoint = await Checkpoint.open(output);
      return floatsFromBytes(await checkpoint.read("logits"), "F32", "logits");
    }),
  );
}

function tokenizerOf(folder: string): Tokenizer {
  const read = (name: string): object => parseJsonObject(readFileSync(join(folder, name), "utf8"), name);
  return new Tokenizer(read("tokenizer.json"), read("tokenizer_config.json"));
}

describe.skipIf(llamaCpp === null)(`llama.cpp reads what crossblock writes${noRuntime}`, () => {
  it.skipIf(other !== undefined)("cuts text into the same tokens as the model's tokenizer, and generates", async () => {
    if (llamaCpp === null) return;
    using source = await rtnSource(model, { schemeOf: () => ({ bits: 4, group: 32, symmetric: true }) });
    const path = join(scratch, "tokens.gguf");
    await writeGguf(source, path);
    await using runtime = await openLlamaCpp(llamaCpp, path);
    const ids = tokenizerOf(model).encode(difficult, { add_special_tokens: false }).ids;
    expect(runtime.tokenize(difficult)).toEqual(ids);
    const generated = await runtime.generate(ids.slice(0, 20), 16);
    expect(generated.length).toBeGreaterThan(4);
  });

  it.skipIf(noPython !== "")(`computes what transformers computes with the same weights${noPython}`, async () => {
    if (llamaCpp === null) return;
    const ids = tokenizerOf(model).encode(address, { add_special_tokens: false }).ids.slice(0, tokens);
    const folders: string[] = [];
    const types: string[] = [];
    const fitting = await fittingCases();
    for (const [name, scheme] of fitting) {
      const folder = join(scratch, name.replaceAll(" ", "-"));
      using source = await judgedSource(scheme);
      await writeReference(source, folder);
      const written = await writeGguf(source, join(folder, "model.gguf"));
      const decoded = join(folder, "decoded.gguf");
      if (scheme !== null) await writeGguf(decodedSource(source), decoded, { embedding: "f32" });
      types.push(written.tensors.find(({ name }) => name === "blk.0.attn_q.weight")?.type ?? "");
      folders.push(folder);
    }
    const references = await referenceLogits(folders, ids);
    const table: Record<string, LogitsComparison & { readonly type: string }> = {};
    for (const [i, [name, scheme]] of fitting.entries()) {
      const reference = references[i] ?? new Float32Array(0);
      for (const [file, type] of [
        ["model", types[i] ?? ""],
        ["decoded", "F32"],
      ] as const) {
        if (scheme === null && file === "decoded") continue;
        await using runtime = await openLlamaCpp(llamaCpp, join(folders[i] ?? "", `${file}.gguf`));
        const logits = await runtime.logits(ids, reference.length / ids.length);
        table[`${name} as ${type}`] = { type, ...compareLogits(logits, reference, ids) };
      }
    }
    console.table(table);
    for (const [name, { type, perplexity, referencePerplexity, divergence }] of Object.entries(table)) {
      // Same weights in fp32: the rest is the fp16 cache. With block types llama.cpp also rounds activations to 8 bits,
      // which a small and fragile model multiplies; how much is the runtime's affair, so it bounds the bundled model only.
      if (type === "F32") expect(divergence, name).toBeLessThan(other === undefined ? 1e-5 : 2e-3);
      if (other !== undefined) continue;
      expect(Math.abs(perplexity / referencePerplexity - 1), name).toBeLessThan(0.01);
      expect(divergence, name).toBeLessThan(0.002);
    }
  });
});
