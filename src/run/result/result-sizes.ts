import { stat } from "node:fs/promises";
import { join } from "node:path";
import { ModelFolder } from "../../checkpoint/model-folder.js";
import { isWeightFile } from "../../checkpoint/safetensors/write-safetensors.js";
import type { ResultSizes } from "./result-record.js";

/** A format that was written. */
export interface WrittenFormat {
  readonly format: string;
  /** Below the result; `.` for the result itself. */
  readonly path: string;
  /** Of its weights. */
  readonly bytes: number;
  readonly embeddingBytes: number;
}

/** Bytes of the source's weight files beside those of each format. */
export async function resultSizes(folder: string, formats: readonly WrittenFormat[]): Promise<ResultSizes> {
  return {
    source: await weightBytes(folder),
    formats: formats.map(({ format, path, bytes, embeddingBytes }) => ({ format, path, bytes, embeddingBytes })),
  };
}

/** Bytes of a model folder's weight files. */
export async function weightBytes(folder: string): Promise<number> {
  const names = ModelFolder.open(folder).list().filter(isWeightFile);
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
  return sizes.reduce((sum, bytes) => sum + bytes, 0);
}
