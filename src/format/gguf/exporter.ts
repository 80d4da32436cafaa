import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { CrossblockError, FormatError } from "../../errors.js";
import type { ExportOptions } from "../contract/export-options.js";
import type { ExportSource } from "../contract/export-source.js";
import type { Exporter, OpenedExport } from "../contract/exporter.js";
import { modelName, schemeLabel } from "../model-label.js";
import { embeddingBytes } from "../source/embedding-bytes.js";
import { sourceSpec } from "../source/source-spec.js";
import { cardFile, hasOwnCard } from "../written-files.js";
import { checkGguf } from "./check.js";
import { checkMetadata } from "./file/check-metadata.js";
import { TENSOR_TYPES } from "./file/layout.js";
import { inspectGguf } from "./inspect.js";
import { compareKeys } from "./network/compare/compare-keys.js";
import type { GgufPlanOptions } from "./plan.js";
import { recordedOptions, recordedScheme, VERSION } from "./provenance.js";
import { GgufFile } from "./read.js";
import { prepareGguf, writeGguf } from "./write.js";

/** Folder of the files among the exports of a result. */
const FOLDER = "gguf";

/** One file for llama.cpp. */
export const ggufExporter: Exporter = {
  kind: "file",
  plan(source, options) {
    const { plan, mainType, bytes, notes } = prepareGguf(source, planOptions(options, embeddingColumns(source)));
    // Both: the scheme tells results apart, and listings and downloads read the type from the end of the name.
    const name = [modelName(source), schemeLabel(source), mainType].filter((part) => part !== null).join("-");
    return {
      path: join(FOLDER, `${name}.gguf`),
      bytes,
      embeddingBytes: embeddingBytes(
        source,
        plan.tensors.flatMap(({ source: tensor, byteLength }) =>
          tensor === null ? [] : [{ source: tensor, byteLength }],
        ),
      ),
      notes,
    };
  },
  async write(source, path, { signal, ...options }) {
    const { tensors } = await writeGguf(source, path, { ...planOptions(options, embeddingColumns(source)), signal });
    return tensors
      .filter(({ fidelity }) => fidelity !== "exact")
      .map(({ name, type, relativeError }) => ({ tensor: name, type, relativeError }));
  },
  async owns(folder, path) {
    if (path === cardFile) return hasOwnCard(folder);
    if (!path.endsWith(".gguf")) return false;
    try {
      const file = GgufFile.open(join(folder, path));
      const { metadata } = file;
      file.close();
      return metadata.has(VERSION);
    } catch {
      return false;
    }
  },
  async find(path) {
    if (path.endsWith(".gguf")) return path;
    if ((await stat(path).catch(() => null))?.isDirectory() !== true) return null;
    const names = await readdir(path);
    const files = names.filter((name) => name.endsWith(".gguf") && !name.startsWith("."));
    const [file] = files;
    // A model folder may hold GGUF files beside its own weights, and is a model folder all the same.
    if (file === undefined || names.includes("config.json")) return null;
    if (files.length === 1) return join(path, file);
    throw new FormatError({
      what: `${files.length} GGUF files in one folder`,
      where: path,
      next: `name the one that is meant: ${join(path, file)}`,
    });
  },
  async open(path): Promise<OpenedExport> {
    const file = GgufFile.open(path);
    const { metadata, tensors, byteLength } = file;
    const architecture = metadata.get("general.architecture");
    const options = recordedOptions(metadata);
    return {
      family: architecture?.type === "string" ? architecture.value : "unknown",
      scheme: recordedScheme(metadata),
      tensorCount: tensors.size,
      census: null,
      bytes: byteLength,
      madeWith: (given) =>
        isDeepStrictEqual(options, planOptions(given, tensors.get("token_embd.weight")?.shape.at(-1) ?? null)),
      plannedBytes: (result) => prepareGguf(result, options).bytes,
      notes: (result) => prepareGguf(result, options).notes,
      async *check(result) {
        yield checkMetadata(metadata, prepareGguf(result, options).metadata);
        yield compareKeys(file, sourceSpec(result));
        yield* checkGguf(file, result, options);
      },
      inspect: () => inspectGguf(file),
      [Symbol.dispose]: () => file.close(),
    };
  },
};

/** Of an embedding whose rows are of whole blocks; what is chosen is recorded in the file. */
const defaultEmbedding = "q8_0";

/** @param columns of the embedding; null where there is none */
function planOptions({ ggufEmbedding, ggufOutput, reencode }: ExportOptions, columns: number | null): GgufPlanOptions {
  const fits = columns !== null && columns % TENSOR_TYPES.Q8_0.elements === 0;
  const embedding = ggufEmbedding ?? (fits ? defaultEmbedding : null);
  return {
    reencode,
    ...(embedding !== null && { embedding }),
    ...(ggufOutput !== null && { output: ggufOutput }),
  };
}

function embeddingColumns(source: ExportSource): number | null {
  try {
    return source.plain.get(`${sourceSpec(source).names.embedding}.weight`)?.shape.at(-1) ?? null;
  } catch (error) {
    // The plan says what a network lacks.
    if (error instanceof CrossblockError) return null;
    throw error;
  }
}
