import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { OnnxContent } from "../../checkpoint/onnx/onnx-content.js";
import type { ExportOptions } from "../contract/export-options.js";
import type { Exporter, OpenedExport } from "../contract/exporter.js";
import { copyModelFiles } from "../copy-model-files.js";
import { cardFile, hasOwnCard, isCopy } from "../written-files.js";
import { checkQdq } from "./check.js";
import { companionFolder, companionNames } from "./graph/companion-files.js";
import { inspectQdq, partsOf } from "./inspect.js";
import { qdqNotes } from "./notes.js";
import { planQdq } from "./plan.js";
import { isOwn, recordedCodes, recordedScheme } from "./provenance.js";
import { QdqFile } from "./read.js";
import { storedLayers } from "./stored-layers.js";
import { dataFile, modelFile, writeQdq } from "./write.js";

/** Folder of the file among the exports of a result. */
const FOLDER = "qdq";

/** The source graph with QuantizeLinear and DequantizeLinear, for onnxruntime and whoever reads ONNX. */
export const qdqExporter: Exporter = {
  kind: "folder",
  plan(source, { qdqCodes }) {
    const plan = planQdq(source, qdqCodes);
    return { path: FOLDER, bytes: plan.bytes, embeddingBytes: 0, notes: qdqNotes(plan) };
  },
  async write(source, path, { signal, qdqCodes }) {
    await writeQdq(source, path, { codes: qdqCodes, signal });
    await copyModelFiles(companionFolder(source.folder), path, signal, companionNames);
    return [];
  },
  async owns(folder, path, copied) {
    if (path === cardFile) return hasOwnCard(folder);
    if (companionNames.has(path)) return isCopy(folder, path, copied);
    return path === modelFile || path === dataFile;
  },
  async find(path) {
    if (path.endsWith(".onnx")) return isQdq(path) ? path : null;
    const names: readonly string[] = await readdir(path).catch(() => []);
    const file = join(path, modelFile);
    return names.includes(modelFile) && isQdq(file) ? file : null;
  },
  async open(path): Promise<OpenedExport> {
    const file = QdqFile.open(path);
    const { model, tensors } = file.content;
    const codes = recordedCodes(model);
    const parts = [...file.layers.values()].reduce((sum, layer) => sum + partsOf(layer).length, 0);
    return {
      family: model.graph?.name || "graph",
      scheme: recordedScheme(model),
      tensorCount: tensors.size - parts + file.layers.size,
      census: null,
      bytes: [...tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0),
      madeWith: (given: ExportOptions) => given.qdqCodes === codes,
      plannedBytes: (result) => planQdq(result, codes).bytes,
      notes: (result) => qdqNotes(planQdq(result, codes)),
      check: (result) => checkQdq(file, result, codes),
      inspect: () => inspectQdq(file),
      [Symbol.dispose]: () => file[Symbol.dispose](),
    };
  },
};

/** Whether a file is one of this format: ours, or another's with weights in integers. */
export function isQdq(file: string): boolean {
  using content = OnnxContent.open(file);
  return isOwn(content.model) || storedLayers(content).length > 0;
}
