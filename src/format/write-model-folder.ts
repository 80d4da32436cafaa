import { stat } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomically } from "../checkpoint/file-system/write-file-atomically.js";
import type { JsonObject } from "../checkpoint/json/json.js";
import { type OutputTensor, writeSafetensors } from "../checkpoint/safetensors/write-safetensors.js";
import { assertOtherFolder } from "./assert-other-folder.js";
import { exportedConfig } from "./contract/export-config.js";
import type { ExportSource } from "./contract/export-source.js";
import { copyModelFiles } from "./copy-model-files.js";
import { configFile } from "./written-files.js";

export interface WriteFolderOptions {
  /** Tensor bytes per weight file, as in `writeSafetensors`. */
  readonly maxShardBytes?: number;
  readonly signal?: AbortSignal;
}

/** What a format has of its own beside the weights. */
interface ModelFolderExtras {
  /** Texts of small files by name. */
  readonly extraFiles?: Readonly<Record<string, string>>;
  /** Members of `config.json` beside `quantization_config`. */
  readonly members?: JsonObject;
}

/** What an export wrote. */
export interface WrittenFolder {
  /** Names in the folder. */
  readonly files: readonly string[];
  /** Bytes of all of them. */
  readonly bytes: number;
}

/**
 * Writes a Hugging Face model folder: weights, the source's other files, small files of the format's own, and last
 * `config.json`, without which no reader takes the folder for a model.
 *
 * @throws FormatError when `folder` is the source's own; nothing is written then
 * @throws CheckpointError for a link that leads out of the source folder; EnvironmentError when writing fails
 */
export async function writeModelFolder(
  source: ExportSource,
  folder: string,
  tensors: Iterable<OutputTensor>,
  quantizationConfig: JsonObject,
  options: WriteFolderOptions & ModelFolderExtras = {},
): Promise<WrittenFolder> {
  const { extraFiles = {}, members = {}, ...limits } = options;
  await assertOtherFolder(source.folder, folder);
  const config = exportedConfig(source, { ...members, quantization_config: quantizationConfig });
  const weights = await writeSafetensors(folder, tensors, limits);
  const copied = await copyModelFiles(source.folder, folder, options.signal);
  const texts = { ...extraFiles, [configFile]: config };
  for (const [name, text] of Object.entries(texts)) await writeFileAtomically(join(folder, name), text);
  const files = [...weights.files, ...copied, ...Object.keys(texts)];
  const sizes = await Promise.all(files.map(async (name) => (await stat(join(folder, name))).size));
  return { files, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}
