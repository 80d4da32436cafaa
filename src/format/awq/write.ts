import type { OutputTensor } from "../../checkpoint/safetensors/write-safetensors.js";
import { assertWeightOnly } from "../contract/assert-weight-only.js";
import type { ExportSource } from "../contract/export-source.js";
import { type EncodedPart, linearTensors, outputTensors, readSound } from "../contract/output-tensors.js";
import { folderViews } from "../source/source-spec.js";
import { storedSource } from "../source/stored-source.js";
import { type WriteFolderOptions, type WrittenFolder, writeModelFolder } from "../write-model-folder.js";
import { withActivationScales } from "./activation-scales.js";
import { encodePart } from "./encode.js";
import { assertHolds, assertOneGroup, partsOf } from "./layout.js";
import { quantizationConfig } from "./quantization-config.js";

/**
 * Writes a result as an AWQ folder for vLLM, transformers and mlx-lm. Weights stream through, one at a time.
 *
 * @throws FormatError for what the format can't hold (other widths, several group sizes, outputs that are no multiple of 8,
 *   quantized activations), naming the nearest scheme or the format that can; nothing is written then
 */
export async function writeAwq(
  source: ExportSource,
  outFolder: string,
  options: WriteFolderOptions = {},
): Promise<WrittenFolder> {
  const stored = storedAsAwq(source);
  return writeModelFolder(stored, outFolder, tensorsOf(stored), quantizationConfig(stored), options);
}

/** The tensors of the folder, each with the promise of its bytes; nothing is read. Throws FormatErrors as the writer does. */
export function awqTensors(source: ExportSource): readonly OutputTensor[] {
  return tensorsOf(storedAsAwq(source));
}

function storedAsAwq(source: ExportSource): ExportSource {
  return storedSource(withActivationScales(source), folderViews(source));
}

function tensorsOf(source: ExportSource): readonly OutputTensor[] {
  assertWeightOnly(source, "AWQ");
  for (const [name, layout] of source.linears) assertHolds(name, layout);
  assertOneGroup(source.linears);
  return outputTensors(source, (name, layout) => {
    const parts = partsOf(layout).map(
      (part): EncodedPart => ({ ...part, encode: (weight) => encodePart(weight, part.part) }),
    );
    return linearTensors(name, parts, () => readSound(source, name, layout));
  });
}
