import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { FormatError } from "../../errors.js";
import type { ExportOptions } from "../contract/export-options.js";
import type { Exporter, OpenedExport } from "../contract/exporter.js";
import { embeddingBytes } from "../source/embedding-bytes.js";
import { cardFile, configFile, hasOwnCard, isCopy } from "../written-files.js";
import { checkOnnx } from "./check.js";
import { checkConfig } from "./config/check-config.js";
import { inspectOnnx } from "./inspect.js";
import { onnxNotes } from "./notes.js";
import { type OnnxPlan, planOnnx } from "./plan.js";
import { type OnnxGraphOptions, recordedOptions, recordedScheme } from "./provenance.js";
import { OnnxFile } from "./read.js";
import { writeOnnx } from "./write.js";

/** Folder of the files among the exports of a result. */
const FOLDER = "onnx";
/** The graph and its data, below the folder of an export. */
const graphFile = /^onnx\/model(?:_\w+)?\.onnx(?:_data(?:_\d+)?)?$/;

/** A folder for transformers.js and onnxruntime. */
export const onnxExporter: Exporter = {
  kind: "folder",
  plan(source, options) {
    const plan = planOnnx(source, graphOptions(options));
    return {
      path: FOLDER,
      bytes: tensorBytes(plan),
      embeddingBytes: embeddingBytes(
        source,
        plan.tensors.flatMap(({ source: tensor, byteLength }) =>
          tensor === null ? [] : [{ source: tensor, byteLength }],
        ),
      ),
      notes: onnxNotes(plan, source),
    };
  },
  async write(source, path, { signal, ...options }) {
    await writeOnnx(source, path, { ...graphOptions(options), signal });
    return [];
  },
  async owns(folder, path, copied) {
    if (path === cardFile && (await hasOwnCard(folder))) return true;
    return graphFile.test(path) || path === configFile || isCopy(folder, path, copied);
  },
  async find(path) {
    if (path.endsWith(".onnx")) return path;
    const names = await readdir(path).catch(() => []);
    // A model folder may hold ONNX files beside its own weights, and is a model folder all the same.
    if (names.some((name) => name.endsWith(".safetensors"))) return null;
    for (const folder of [join(path, "onnx"), path]) {
      const files = (await readdir(folder).catch(() => [])).filter(
        (name) => name.endsWith(".onnx") && !name.startsWith("."),
      );
      const [file] = files;
      if (file === undefined) continue;
      if (files.length === 1) return join(folder, file);
      throw new FormatError({
        what: `${files.length} ONNX files in one folder`,
        where: folder,
        next: `name the one that is meant: ${join(folder, file)}`,
      });
    }
    return null;
  },
  async open(path): Promise<OpenedExport> {
    const file = OnnxFile.open(path);
    const { model, tensors, linears } = file;
    const options = recordedOptions(model);
    const stored = [...tensors.values()].filter(({ location }) => location !== null);
    return {
      family: model.graph?.name ?? "unknown",
      scheme: recordedScheme(model),
      tensorCount: stored.length - partCount(linears.values()),
      census: null,
      bytes: stored.reduce((sum, { byteLength }) => sum + byteLength, 0),
      madeWith: (given) => isDeepStrictEqual(options, graphOptions(given)),
      plannedBytes: (result) => tensorBytes(planOnnx(result, options)),
      notes: (result) => onnxNotes(planOnnx(result, options), result),
      async *check(result) {
        yield checkConfig(dirname(dirname(path)), planOnnx(result, options), result);
        yield* checkOnnx(file, result, options);
      },
      inspect: () => inspectOnnx(file),
      [Symbol.dispose]: () => file.close(),
    };
  },
};

function graphOptions({ onnxPrecision, onnxAccuracy }: ExportOptions): OnnxGraphOptions {
  return { precision: onnxPrecision, accuracyLevel: onnxAccuracy === "fast" ? 4 : 0 };
}

function tensorBytes({ tensors }: OnnxPlan): number {
  return tensors.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** Stored tensors beyond the first of each quantized Linear, which counts as one. */
function partCount(linears: Iterable<{ readonly zeroPoints: string | null }>): number {
  return [...linears].reduce((sum, { zeroPoints }) => sum + (zeroPoints === null ? 1 : 2), 0);
}
