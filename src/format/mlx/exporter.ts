import { stat } from "node:fs/promises";
import { join } from "node:path";
import { readModelConfig } from "../../checkpoint/model-config.js";
import type { Exporter, OpenedExport } from "../contract/exporter.js";
import { embeddingBytes } from "../source/embedding-bytes.js";
import { isModelFolderFile } from "../written-files.js";
import { checkMlx } from "./check.js";
import { isMlx } from "./config/quantization.js";
import { inspectMlx } from "./inspect.js";
import { mlxNetwork } from "./mlx-network.js";
import { mlxNotes } from "./notes.js";
import { openMlxFolder } from "./read.js";
import { type MlxPlan, planMlx, writeMlx } from "./write.js";

/** Folder of the files among the exports of a result. */
const FOLDER = "mlx";

/** A folder for mlx-lm, and what else loads its models. */
export const mlxExporter: Exporter = {
  kind: "folder",
  plan(source, { mlxScales }) {
    const { tensors, origin } = planMlx(source, mlxScales);
    const planned = tensors.map(({ name, byteLength }) => ({ source: origin(name) ?? name, byteLength }));
    return {
      path: FOLDER,
      bytes: tensors.reduce((sum, { byteLength }) => sum + byteLength, 0),
      embeddingBytes: embeddingBytes(source, planned),
      notes: mlxNotes(source, mlxScales),
    };
  },
  write: (source, path, { signal, mlxScales }) => writeMlx(source, path, { scales: mlxScales, signal }),
  owns: isModelFolderFile,
  async find(path) {
    const there = (await stat(join(path, "config.json")).catch(() => null))?.isFile() === true;
    return there && isMlx(await readModelConfig(path)) ? path : null;
  },
  async network(path) {
    const folder = await openMlxFolder(path);
    try {
      return { ...mlxNetwork(folder), [Symbol.dispose]: () => folder[Symbol.dispose]() };
    } catch (error) {
      folder[Symbol.dispose]();
      throw error;
    }
  },
  async open(path): Promise<OpenedExport> {
    const folder = await openMlxFolder(path);
    const { provenance, modules, plain, family, bytes } = folder;
    const scales = provenance?.scales ?? "exact";
    const size = ({ tensors }: MlxPlan): number => tensors.reduce((sum, { byteLength }) => sum + byteLength, 0);
    return {
      family,
      scheme: provenance?.scheme ?? null,
      tensorCount: modules.size + plain.size,
      census: null,
      bytes,
      madeWith: ({ mlxScales }) => mlxScales === scales,
      plannedBytes: (result) => size(planMlx(result, scales)),
      notes: (result) => mlxNotes(result, scales),
      check: (result) => checkMlx(folder, result, scales),
      inspect: () => inspectMlx(folder),
      [Symbol.dispose]: () => folder[Symbol.dispose](),
    };
  },
};
