import { stat } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomically } from "../../../checkpoint/file-system/write-file-atomically.js";
import type { ModelConfig } from "../../../checkpoint/model-config.js";
import { writeSafetensors } from "../../../checkpoint/safetensors/write-safetensors.js";
import type { TensorReader } from "../../../checkpoint/tensor-reader.js";
import { exportedConfig } from "../../../format/contract/export-config.js";
import { compareTensorNames } from "../../../format/contract/output-tensors.js";
import { copyModelFiles } from "../../../format/copy-model-files.js";
import { configFile, trainedFolder } from "../../../format/written-files.js";
import type { RequestContext } from "../../engine/serve-requests.js";
import type { ExportedEvent, ExportingEvent } from "../../events/events.js";
import { type StoredInputs, storedInputsConfig } from "../../source/trained/stored-inputs.js";

export interface TrainedModelFolder {
  readonly checkpoint: TensorReader;
  readonly config: ModelConfig;
  /** Null where inputs stay in floating point. */
  readonly inputs: StoredInputs | null;
}

/**
 * Writes what a training of a whole model came to as an ordinary Hugging Face folder, with the ranges of its inputs in
 * `config.json`, below the result.
 *
 * @param staging where the result is being written, and `shown` where it will be found
 */
export async function writeTrainedModel(
  { checkpoint, config, inputs }: TrainedModelFolder,
  { staging, shown }: { readonly staging: string; readonly shown: string },
  { emit, poll, signal }: RequestContext<ExportingEvent | ExportedEvent>,
): Promise<void> {
  const [folder, path] = [join(staging, trainedFolder), join(shown, trainedFolder)];
  const format = "the trained model";
  emit({ event: "exporting", format, path });
  const tensors = [...checkpoint.tensors.values()]
    .sort((a, b) => compareTensorNames(a.name, b.name))
    .map(({ name, dtype, shape, byteLength }) => ({
      ...{ name, dtype, shape, byteLength },
      bytes: () => {
        poll();
        return checkpoint.read(name);
      },
    }));
  const weights = await writeSafetensors(folder, tensors, { signal });
  const copied = await copyModelFiles(checkpoint.folder, folder, signal);
  const text = exportedConfig({ config, folder: checkpoint.folder }, inputs === null ? {} : storedInputsConfig(inputs));
  await writeFileAtomically(join(folder, configFile), text);
  const names = [...weights.files, ...copied, configFile];
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
  const notes =
    inputs === null
      ? []
      : [`Its inputs are quantized to ${inputs.bits} bits: the ranges stand in its config.json, and eval reads them.`];
  emit({ event: "exported", format, path, bytes: sizes.reduce((sum, size) => sum + size, 0), notes, losses: [] });
}
