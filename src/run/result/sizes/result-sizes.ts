import { existsSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { ModelFolder } from "../../../checkpoint/model-folder.js";
import { isWeightFile } from "../../../checkpoint/safetensors/write-safetensors.js";
import type { ResultSizes } from "../result-record.js";

/** A format that was written. */
export interface WrittenFormat {
  readonly format: string;
  /** Below the result; `.` for the result itself. */
  readonly path: string;
  readonly embeddingBytes: number;
}

/**
 * Bytes of the source's weight files beside those of each format, as they lie on the disk.
 *
 * @param source bytes of the source's weight files
 * @param written folder below which the formats lie
 */
export async function resultSizes(
  source: number,
  formats: readonly WrittenFormat[],
  written: string,
): Promise<ResultSizes> {
  const sized = formats.map(async ({ format, path, embeddingBytes }) => ({
    ...{ format, path, bytes: await formatBytes(join(written, path)), embeddingBytes },
  }));
  return { source, formats: await Promise.all(sized) };
}

/**
 * Bytes of one format's weight files, which is what a size of a format means everywhere: of a file, of a folder of safetensors, or of
 * the graph in a folder below that of its model. Tokenizer, configuration and cards are not among them.
 */
export async function formatBytes(place: string): Promise<number> {
  const own = await stat(place);
  if (own.isFile()) return own.size;
  const graph = existsSync(join(place, "model.onnx")) ? place : join(place, "onnx");
  const isGraph = (name: string): boolean => /\.onnx(_data(_\d+)?)?$/.test(name);
  const graphs = existsSync(graph) ? await readdir(graph) : [];
  if (!graphs.some(isGraph)) return await weightBytes(place);
  const sizes = await Promise.all(graphs.filter(isGraph).map(async (name) => (await stat(join(graph, name))).size));
  return sizes.reduce((sum, bytes) => sum + bytes, 0);
}

/** Bytes of a model folder's weight files. */
export async function weightBytes(folder: string): Promise<number> {
  const names = ModelFolder.open(folder).list().filter(isWeightFile);
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
  return sizes.reduce((sum, bytes) => sum + bytes, 0);
}
