import { readModelConfig } from "../../checkpoint/model-config.js";
import type { FolderWeights } from "../../checkpoint/tensor-reader.js";
import { openSourceWeights } from "../../format/dequantized/open-source-weights.js";
import type { ReadRecord } from "../result/result-file.js";
import { recordedSource } from "../source/recorded-source.js";

/**
 * The model that a result was made of, its weights in floating point; null where it is gone.
 *
 * @throws CheckpointError when a model that was named can't be read; one that is merely recorded may be gone
 */
export async function openSourceModel(
  named: string | null,
  record: ReadRecord | null,
  folder: string,
): Promise<(FolderWeights & Disposable) | null> {
  const open = async (path: string): Promise<FolderWeights & Disposable> =>
    openSourceWeights(path, await readModelConfig(path));
  if (named !== null) return open(named);
  const recorded = record === null ? null : recordedSource(record, folder);
  return recorded === null ? null : await open(recorded).catch(() => null);
}
