import { stat } from "node:fs/promises";
import { join } from "node:path";
import { Checkpoint } from "../checkpoint/checkpoint.js";
import { type ModelConfig, optionalString, readModelConfig } from "../checkpoint/model-config.js";
import type { OutputTensor } from "../checkpoint/safetensors/write-safetensors.js";
import type { ExportSource } from "./contract/export-source.js";
import type { Exporter, OpenedExport } from "./contract/exporter.js";
import { assertLanguageModel } from "./contract/graph-source.js";
import { schemeLabel } from "./model-label.js";
import { compareSources } from "./source/compare-sources.js";
import { embeddingBytes } from "./source/embedding-bytes.js";
import { inspectSource } from "./source/inspect-source.js";
import { sourceCensus } from "./source/source-census.js";
import { isModelFolderFile } from "./written-files.js";

/** A format whose exports are model folders of safetensors that keep codes, scales and zero points as they are. */
export interface FolderFormat {
  /** Its folder's name among the exports of a result. */
  readonly folder: string;
  recognises(config: ModelConfig): boolean;
  /** The tensors that will be written; reads none. */
  tensors(source: ExportSource): readonly OutputTensor[];
  notes(source: ExportSource): readonly string[];
  write(source: ExportSource, folder: string, options: { readonly signal: AbortSignal }): Promise<unknown>;
  open(folder: string): Promise<ExportSource & Disposable>;
}

/** Makes such a format one exporter among others. */
export function folderExporter(format: FolderFormat): Exporter {
  return {
    kind: "folder",
    plan(source) {
      // Before a format looks at config.json, which a graph has not.
      assertLanguageModel(source);
      const tensors = format.tensors(source);
      return {
        path: format.folder,
        bytes: totalBytes(tensors),
        embeddingBytes: embeddingBytes(
          source,
          tensors.map(({ name, byteLength }) => ({ source: name, byteLength })),
        ),
        notes: format.notes(source),
      };
    },
    async write(source, path, { signal }) {
      await format.write(source, path, { signal });
      return [];
    },
    owns: isModelFolderFile,
    async find(path) {
      const isFile = async (name: string): Promise<boolean> =>
        (await stat(join(path, name)).catch(() => null))?.isFile() ?? false;
      if (!(await isFile("config.json"))) return null;
      return format.recognises(await readModelConfig(path)) ? path : null;
    },
    network: (path) => format.open(path),
    async open(path): Promise<OpenedExport> {
      const opened = await format.open(path);
      try {
        using checkpoint = await Checkpoint.open(path);
        const bytes = totalBytes([...checkpoint.tensors.values()]);
        return {
          family: optionalString(opened.config, "model_type") ?? "unknown",
          scheme: schemeLabel(opened),
          tensorCount: opened.linears.size + opened.plain.size,
          census: sourceCensus(opened),
          bytes,
          madeWith: () => true,
          plannedBytes: (result) => totalBytes(format.tensors(result)),
          notes: (result) => format.notes(result),
          check: (result) => compareSources(opened, result),
          inspect: () => inspectSource(opened),
          [Symbol.dispose]: () => opened[Symbol.dispose](),
        };
      } catch (error) {
        opened[Symbol.dispose]();
        throw error;
      }
    },
  };
}

function totalBytes(tensors: readonly { readonly byteLength: number }[]): number {
  return tensors.reduce((sum, { byteLength }) => sum + byteLength, 0);
}
