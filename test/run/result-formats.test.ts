import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ExportedEvent } from "../../src/index.js";
import { library } from "../fixtures/in-process/library.js";
import {
  type ExportedResult,
  exportedResult,
  ggufName,
  module,
  readCertificate,
  verify,
} from "../fixtures/prepared/exported-result.js";

const { exportResult, inspect, quantize } = library;

let made: ExportedResult;
beforeAll(async () => {
  made = await exportedResult();
});
afterAll(() => made[Symbol.dispose]());

function filesBelow(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

describe("the formats of one result", () => {
  it("are written by quantize where their runtimes look for them", () => {
    expect(made.written.map(({ format, path }) => [format, path])).toEqual([
      ["compressed-tensors", made.result],
      ["gguf", made.ggufOf(made.result)],
      ["gptq", join(made.result, "gptq")],
      ["onnx", join(made.result, "onnx")],
    ]);
    // By default the embedding of a GGUF file is rounded, and says so.
    expect(made.written.map(({ losses }) => losses.map(({ tensor, type }) => [tensor, type]))).toEqual([
      [],
      [["token_embd.weight", "Q8_0"]],
      [],
      [],
    ]);
    expect(made.written[1]?.losses[0]?.relativeError).toBeLessThan(1e-4);
    expect(statSync(made.ggufOf(made.result)).size).toBe(made.written[1]?.bytes);
    for (const file of ["config.json", "quantize_config.json", "tokenizer.json", "model.safetensors"]) {
      expect(filesBelow(join(made.result, "gptq"))).toContain(file);
    }
    // As transformers.js looks for them in a model folder.
    for (const file of ["config.json", "tokenizer.json", "onnx/model_q4.onnx", "onnx/model_q4.onnx_data"]) {
      expect(filesBelow(join(made.result, "onnx"))).toContain(file);
    }
  });

  it("come out of export byte for byte the same", async () => {
    const out = join(made.scratch, "exports");
    const formats = ["compressed-tensors", "gptq", "gguf", "onnx"] as const;
    for await (const _ of exportResult({ result: made.result, format: [...formats], out }));
    for (const format of ["gguf", "gptq", "onnx"]) {
      const files = filesBelow(join(out, format));
      expect(files).toEqual(filesBelow(join(made.result, format)));
      for (const file of files) {
        expect(readFileSync(join(out, format, file)).equals(readFileSync(join(made.result, format, file))), file).toBe(
          true,
        );
      }
    }
    // The result's own card speaks of every format in it.
    const copies = filesBelow(join(out, "compressed-tensors")).filter((file) => file !== "README.md");
    for (const file of copies) {
      const copy = readFileSync(join(out, "compressed-tensors", file));
      expect(copy.equals(readFileSync(join(made.result, file))), file).toBe(true);
    }
    const again: string[] = [];
    for await (const { event } of exportResult({ result: made.result, format: ["gptq"], out })) again.push(event);
    expect(again.filter((event) => event !== "progress")).toEqual(["run", "already-there", "done"]);
    // Verified by name too, as the next line of the command says.
    expect(await verify({ result: made.result, format: ["gptq"], export: [out] })).toEqual({
      agrees: true,
      disagreements: [],
    });
    expect(readCertificate(made.result).exports.map(({ path }) => path)).toEqual([".", "gptq", "../exports/gptq"]);
  });

  it("appear complete or not at all when an export is stopped, and nothing is left behind", async () => {
    const out = join(made.scratch, "stopped");
    for (const format of ["gguf", "gptq", "onnx"] as const) {
      const controller = new AbortController();
      const events = exportResult({ result: made.result, format: [format], out, signal: controller.signal });
      const stopped = (async () => {
        for await (const event of events) if (event.event === "progress") controller.abort();
      })();
      await expect(stopped).rejects.toThrow(/abort/i);
    }
    expect(filesBelow(out)).toEqual([]);
  });

  it("are read back by inspect: types, bits, scales and the same histogram of codes", async () => {
    const paths = [
      made.result,
      join(made.result, "gptq"),
      made.ggufOf(made.result),
      join(made.result, "onnx"),
    ] as const;
    const [own, gptq, file, onnx] = await Promise.all([
      inspect(paths[0]),
      inspect(paths[1]),
      inspect(paths[2]),
      inspect(paths[3]),
    ]);
    expect([own, gptq, file, onnx].map(({ format }) => format)).toEqual(["compressed-tensors", "gptq", "gguf", "onnx"]);
    for (const { scheme, family, quantizedBitsPerWeight } of [own, gptq]) {
      expect({ scheme, family, quantizedBitsPerWeight }).toEqual({
        scheme: "W4A16g64",
        family: "llama",
        quantizedBitsPerWeight: 4.25,
      });
    }
    expect([file.scheme, onnx.scheme]).toEqual(["W4A16g64", "W4A16g64"]);
    const find = ({ tensors }: typeof own, name: string): unknown => {
      const { histogram, scales } = tensors.find((tensor) => tensor.name === name) ?? {};
      expect(histogram?.reduce((a, b) => a + b)).toBe(768 * 256);
      return { histogram, scales };
    };
    expect(find(gptq, module)).toEqual(find(own, module));
    expect(find(file, ggufName)).toEqual(find(own, module));
    expect(find(onnx, module)).toEqual(find(own, module));
  });
});

describe("what a format can't hold", () => {
  const refused = async (scheme: string, more: object): Promise<unknown> => {
    const out = join(made.scratch, "refused");
    const run = quantize({ model: made.model, recipe: "rtn", scheme, out, ...more });
    const error = await run
      .next()
      .then(() => run.next())
      .catch((thrown: unknown) => thrown);
    expect(readdirSync(made.scratch)).not.toContain("refused");
    return error;
  };

  it.each([
    ["W6A16g64", { format: ["gptq"] }, /up_proj|q_proj.*6 bits.*Next: quantize with --scheme W8A16g64, or use/],
    ["W4A8g64", { format: ["gptq"] }, /weights only.*Next: quantize with --scheme W4A16g64/],
    [
      "W8A16g64",
      { format: ["gguf"], asym: true },
      /Next: quantize with W8A16g64 symmetric.*or re-encode with --reencode/,
    ],
    ["W4A16g16", { format: ["gguf"] }, /Next: quantize with W4A16g32 symmetric, which is Q4_0/],
    ["W4A16g64", { format: ["gptq"], ggufEmbedding: "q8_0" }, /--gguf-embedding.*Next: add gguf to --format/],
    ["W4A16g64", { format: ["gguf"], ggufOutput: "q8_0" }, /uses its embedding as output/],
    ["W4A16g64", { format: ["gguf"], onnxPrecision: "fp16" }, /--onnx-precision.*Next: add onnx to --format/],
    ["W4A16g8", { format: ["onnx"] }, /blocks of 16, 32, 64 or 128.*Next: quantize with W4A16g/],
  ])("%s is refused before anything is trained, and the nearest scheme named", async (scheme, more, message) => {
    const error = await refused(scheme, more);
    expect(String(error)).toMatch(message);
    expect(error).toMatchObject({ exitCode: 2 });
  });

  it("is re-encoded on request, with the loss of each tensor, and verified as such", async () => {
    const out = join(made.scratch, "reencoded");
    const losses: ExportedEvent["losses"][] = [];
    const options = { model: made.model, recipe: "rtn", scheme: "W8A16g64", asym: true, out } as const;
    for await (const event of quantize({ ...options, format: ["gguf"], reencode: true })) {
      if (event.event === "exported") losses.push(event.losses);
    }
    expect(losses[1]?.length).toBe(15);
    for (const { type, relativeError } of losses[1] ?? []) {
      expect(type).toBe("Q8_0");
      expect(relativeError).toBeLessThan(1e-4);
    }
    expect(await verify({ result: out })).toEqual({ agrees: true, disagreements: [] });
    const statuses = readCertificate(out).exports[1]?.tensors.map(({ status }) => status) ?? [];
    expect(statuses.filter((status) => status === "lossy").length).toBe(15);
  });
});
