import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join, resolve } from "node:path";
import type { ExportSource } from "../../../format/contract/export-source.js";
import type { FormatName } from "../../../format/exporters.js";
import { writeGguf } from "../../../format/gguf/write.js";
import { writeOnnx } from "../../../format/onnx/write.js";
import { decodedSource } from "../../../format/source/decoded-source.js";
import type { FoundPackage } from "./find-package.js";
import { askProcess } from "./runtime-process.js";
import type { RuntimeAnswer, RuntimeQuestion, RuntimeRequest } from "./runtime-question.js";

/** Cuts texts with the tokenizer of the folder that an export lies in; null where it has none. */
type Cut = (
  found: FoundPackage,
  file: string,
  texts: readonly string[],
  signal: AbortSignal,
) => Promise<RuntimeAnswer | null>;

/** A program that others wrote, which runs what crossblock wrote. */
export interface Runtime {
  /** An optional peer dependency: npm package of the user's project. */
  readonly packageName: string;
  /** What of a difference is the runtime's own doing. */
  readonly note: string;
  run(found: FoundPackage, question: RuntimeQuestion, signal: AbortSignal): Promise<RuntimeAnswer>;
  /** Writes the result so that the runtime computes with the same weights in fp32; returns the file. */
  writePlain(result: ExportSource, folder: string, signal: AbortSignal): Promise<string>;
  /**
   * Another package that cuts texts for the runtime, from the model folder that the export is. That folder's tokenizer is the source's own
   * file, so that a difference is the package's doing.
   */
  readonly tokenizer?: { readonly packageName: string; readonly cut: Cut };
  /** Bytes that this takes for a result of so many quantized weights. */
  plainBytes(weights: number): number;
}

/** The runtimes that Node can load, by format. */
export const runtimes: Readonly<Partial<Record<FormatName, Runtime>>> = {
  gguf: {
    packageName: "node-llama-cpp",
    note: "llama.cpp rounds the inputs of quantized products to 8 bits and keeps its cache in fp16",
    run: inProcess(new URL("./llama-cpp-process.js", import.meta.url)),
    async writePlain(result, folder, signal) {
      const file = join(folder, "decoded.gguf");
      await writeGguf(decodedSource(result), file, { embedding: "f32", signal });
      return file;
    },
    plainBytes: (weights) => weights * 4,
  },
  onnx: {
    packageName: "onnxruntime-node",
    note: "onnxruntime rounds the inputs of quantized products to 8 bits at accuracy_level 4, the default",
    run: inProcess(new URL("./onnx-process.js", import.meta.url)),
    // The same codes; at level 0 their inputs stay in fp32.
    writePlain: async (result, folder, signal) =>
      join(folder, (await writeOnnx(result, folder, { accuracyLevel: 0, signal })).model),
    plainBytes: (weights) => weights,
    tokenizer: {
      packageName: "@huggingface/transformers",
      async cut({ entry }, file, texts, signal) {
        // A relative path of two names would be taken for a name on the hub.
        const folder = resolve(dirname(dirname(file)));
        if (!existsSync(join(folder, "tokenizer.json"))) return null;
        const request = { entry, file: folder, tokens: [], vocabulary: 0, texts, threads: 1 };
        return askProcess<RuntimeRequest, RuntimeAnswer>(
          new URL("./transformers-js-process.js", import.meta.url),
          request,
          signal,
        );
      },
    },
  },
};

function inProcess(entry: URL): Runtime["run"] {
  return (found, question, signal) =>
    askProcess(entry, { ...question, entry: found.entry, threads: availableParallelism() }, signal);
}
