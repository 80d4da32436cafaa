import { join } from "node:path";
import { decodedSource } from "../../format/decoded-source.js";
import type { ExportSource } from "../../format/export-source.js";
import type { FormatName } from "../../format/exporters.js";
import { writeGguf } from "../../format/gguf/write.js";
import type { FoundPackage } from "./find-package.js";
import { runLlamaCpp } from "./run-llama-cpp.js";

/** What a runtime is asked about one export. */
export interface RuntimeQuestion {
  readonly file: string;
  readonly tokens: readonly number[];
  readonly vocabulary: number;
  /** To be cut into tokens as well. */
  readonly text: string;
}

/** Logits `[tokens, vocabulary]` and the ids of the text, or why there are none. */
export type RuntimeAnswer =
  | { readonly logits: Float32Array; readonly ids: readonly number[] }
  | { readonly error: string };

/** A program that others wrote, which runs what crossblock wrote. */
export interface Runtime {
  /** An optional peer dependency: npm package of the user's project. */
  readonly packageName: string;
  /** What of a difference is the runtime's own doing. */
  readonly note: string;
  run(found: FoundPackage, question: RuntimeQuestion, signal: AbortSignal): Promise<RuntimeAnswer>;
  /** Writes the result's values in fp32, in the same format, so that only the network is left to differ. */
  writeDecoded(result: ExportSource, folder: string, signal: AbortSignal): Promise<string>;
}

/** The runtimes that Node can load, by format. */
export const runtimes: Readonly<Partial<Record<FormatName, Runtime>>> = {
  gguf: {
    packageName: "node-llama-cpp",
    note: "llama.cpp rounds the inputs of quantized products to 8 bits and keeps its cache in fp16",
    run: runLlamaCpp,
    async writeDecoded(result, folder, signal) {
      const file = join(folder, "decoded.gguf");
      await writeGguf(decodedSource(result), file, { embedding: "f32", signal });
      return file;
    },
  },
};
