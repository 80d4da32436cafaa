import type { OutputTensor } from "../../checkpoint/safetensors/write-safetensors.js";
import { assertWeightOnly } from "../contract/assert-weight-only.js";
import type { ExportSource } from "../contract/export-source.js";
import { type EncodedPart, linearTensors, outputTensors, readSound } from "../contract/output-tensors.js";
import { folderViews } from "../source/source-spec.js";
import { storedSource } from "../source/stored-source.js";
import { type WriteFolderOptions, type WrittenFolder, writeModelFolder } from "../write-model-folder.js";
import { gptqConfigFile } from "../written-files.js";
import { encodePart } from "./encode.js";
import { assertHolds, type CheckpointFormat, partsOf } from "./layout.js";
import { quantizationConfig } from "./quantization-config.js";

export interface WriteGptqOptions extends WriteFolderOptions {
  /** Default: `gptq` (v1, which everything reads) when all weights are symmetric, else `gptq_v2`. */
  readonly checkpointFormat?: CheckpointFormat;
}

/**
 * Writes a result as a GPTQ folder for vLLM, GPTQModel and transformers. Weights stream through, one at a time.
 *
 * @throws FormatError for what the format can't hold (5, 6, 7 bits; sizes; asymmetric v1; quantized activations),
 *   naming the format that can; nothing is written then
 */
export async function writeGptq(
  source: ExportSource,
  outFolder: string,
  options: WriteGptqOptions = {},
): Promise<WrittenFolder> {
  const { checkpointFormat, ...limits } = options;
  const stored = storedSource(source, folderViews(source));
  const { version, tensors } = tensorsOf(stored, checkpointFormat);
  const config = quantizationConfig(stored, version);
  const extraFiles = { [gptqConfigFile]: `${JSON.stringify(config, null, 2)}\n` };
  return writeModelFolder(stored, outFolder, tensors, config, { ...limits, extraFiles });
}

/** The tensors of the folder, each with the promise of its bytes; nothing is read. Throws FormatErrors as the writer does. */
export function gptqTensors(source: ExportSource, checkpointFormat?: CheckpointFormat): GptqTensors {
  return tensorsOf(storedSource(source, folderViews(source)), checkpointFormat);
}

interface GptqTensors {
  readonly version: CheckpointFormat;
  readonly tensors: readonly OutputTensor[];
}

function tensorsOf(source: ExportSource, checkpointFormat?: CheckpointFormat): GptqTensors {
  assertWeightOnly(source, "GPTQ");
  for (const [name, layout] of source.linears) assertHolds(name, layout, checkpointFormat ?? null);
  const symmetric = [...source.linears.values()].every((layout) => layout.symmetric);
  const version = checkpointFormat ?? (symmetric ? "gptq" : "gptq_v2");
  const tensors = outputTensors(source, (name, layout) => {
    const parts = partsOf(layout).map(
      (part): EncodedPart => ({ ...part, encode: (weight) => encodePart(weight, version, part.part) }),
    );
    return linearTensors(name, parts, () => readSound(source, name, layout));
  });
  return { version, tensors };
}
