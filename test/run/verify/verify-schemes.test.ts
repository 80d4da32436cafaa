import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeCompressedTensors } from "../../../src/format/compressed-tensors/write.js";
import type { ExportSource } from "../../../src/format/contract/export-source.js";
import type { Certificate, DisagreementEvent } from "../../../src/index.js";
import type { QuantizedWeight } from "../../../src/quant/quantized-weight.js";
import { writeCutModel } from "../../fixtures/cut-model.js";
import { library } from "../../fixtures/in-process/library.js";
import { llamaCppProject } from "../../format/judge/llama-cpp-package.js";
import { rtnSource } from "../../format/rtn-source.js";

const { exportResult, verifyResult } = library;

const project = llamaCppProject();
const home = process.cwd();
let scratch = "";
let model = "";

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-schemes-"));
  model = join(scratch, "sotu-llama-7m");
  await writeCutModel(model, 1);
  // They are looked for in the user's project, which is the working folder, and in crossblock's own.
  if (project !== null) process.chdir(project);
});

afterAll(() => {
  process.chdir(home);
  rmSync(scratch, { recursive: true, force: true });
});

/** Rounds every Linear once, however often it is read. */
function once(source: ExportSource): ExportSource {
  const weights = new Map<string, Promise<QuantizedWeight>>();
  return {
    ...source,
    name: "sotu-llama-7m",
    readQuantized(name) {
      const weight = weights.get(name) ?? source.readQuantized(name);
      weights.set(name, weight);
      return weight;
    },
  };
}

/** The embedding as the model has it: then nothing of a file is rounded but offsets. */
function exact(formats: Formats): { readonly ggufEmbedding?: "bf16" } {
  return formats.includes("gguf") ? { ggufEmbedding: "bf16" } : {};
}

type Formats = readonly ("gguf" | "gptq" | "onnx")[];
const all: Formats = ["gguf", "gptq", "onnx"];

describe(`every scheme in every format that holds it${project === null ? " (llama.cpp is not installed: files only)" : ""}`, () => {
  it.each([
    ["W4A16g32 symmetric", 4, 32, true, "Q4_0", all, true],
    ["W4A16g64 symmetric", 4, 64, true, "Q4_0", all, false],
    ["W4A16g128 symmetric", 4, 128, true, "Q4_0", all, false],
    ["W4A16 symmetric", 4, null, true, "Q4_0", all, false],
    ["W4A16g32 asymmetric", 4, 32, false, "Q4_1", all, false],
    ["W4A16g256 asymmetric", 4, 256, false, "Q4_K", all, true],
    ["W2A16g64 symmetric", 2, 64, true, "Q2_0", all, true],
    ["W2A16 symmetric", 2, null, true, "TQ2_0", all, false],
    ["W2A16g256 asymmetric", 2, 256, false, "Q2_K", all, false],
    ["W3A16g64 asymmetric", 3, 64, false, "Q4_0", all, false],
    ["W3A16g256 symmetric", 3, 256, true, "Q3_K", all, false],
    ["W5A16g64 symmetric", 5, 64, true, "Q8_0", ["gguf", "onnx"], false],
    ["W8A16g32 symmetric", 8, 32, true, "Q8_0", all, false],
    ["W8A16 asymmetric", 8, null, false, null, ["gptq", "onnx"], false],
  ] as const)("%s", async (label, bits, group, symmetric, type, formats, judged) => {
    const [scheme = ""] = label.split(" ");
    const result = join(scratch, label.replace(" ", "-"));
    using source = await rtnSource(model, { schemeOf: () => ({ bits, group, symmetric }) });
    await writeCompressedTensors(once(source), result);
    for await (const event of exportResult({ result, format: [...formats], ...exact(formats) })) {
      if (event.event === "exported" && event.format === "gguf") {
        expect(event.path).toMatch(new RegExp(`-${scheme}-${type}\\.gguf$`));
        for (const { relativeError } of event.losses) expect(relativeError).toBeLessThan(1e-6);
      }
    }
    // Runtimes take seconds: a few schemes go through them here, all of them in the judges of `format/`.
    const disagreements: DisagreementEvent[] = [];
    for await (const event of verifyResult({ result, runtimes: judged })) {
      if (event.event === "disagreement") disagreements.push(event);
    }
    expect(disagreements).toEqual([]);
    const certificate = JSON.parse(readFileSync(join(result, "certificate.json"), "utf8")) as Certificate;
    expect(certificate.exports.length).toBe(1 + formats.length);
    for (const { format, tensors, runtime } of certificate.exports.slice(1)) {
      expect(tensors.filter(({ status }) => status !== "same")).toEqual([]);
      expect(tensors.filter(({ hash }) => hash !== undefined).length).toBe(7);
      if (format !== "gguf" || project === null || !judged) continue;
      if (!("asWritten" in runtime)) throw new Error(JSON.stringify(runtime));
      const { perplexity, referencePerplexity } = runtime.asWritten;
      expect(Math.abs(perplexity / referencePerplexity - 1)).toBeLessThan(0.01);
      expect(runtime.sameWeights?.divergence).toBeLessThan(1e-5);
    }
  });
});
