import type { OutputTensor } from "../../checkpoint/safetensors/write-safetensors.js";
import { FormatError } from "../../errors.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import type { ExportSource, QuantizedLayout } from "../contract/export-source.js";
import type { TensorLoss } from "../contract/exporter.js";
import { assertLanguageModel } from "../contract/graph-source.js";
import { type EncodedPart, linearTensors, outputTensors, readSound } from "../contract/output-tensors.js";
import { type WriteFolderOptions, writeModelFolder } from "../write-model-folder.js";
import { olderMembers } from "./config/older-members.js";
import { provenanceMember } from "./config/provenance.js";
import { quantizationMember } from "./config/quantization.js";
import { encodePart } from "./encode.js";
import { assertHolds, partsOf, type ScaleChoice, type ScaleType, scaleType } from "./layout.js";
import { relativeLoss } from "./loss.js";
import { type StoredAsMlx, storedAsMlx } from "./stored-as-mlx.js";

export interface WriteMlxOptions extends WriteFolderOptions {
  /** Floating point of scales and biases. Default `exact`. */
  readonly scales?: ScaleChoice;
}

/** What a folder will hold, known before any code is. */
export interface MlxPlan extends StoredAsMlx {
  readonly tensors: readonly OutputTensor[];
  /** What is rounded, once it was written. */
  readonly losses: readonly TensorLoss[];
}

/**
 * Plans the tensors of a folder, each with the promise of its bytes; nothing is read.
 *
 * @throws FormatError for what MLX can't hold, naming the nearest scheme that it can
 */
export function planMlx(result: ExportSource, choice: ScaleChoice = "exact"): MlxPlan {
  assertLanguageModel(result);
  const stored = storedAsMlx(result);
  const { source, experts } = stored;
  if (source.linears.size === 0) {
    throw new FormatError({
      what: "no quantized Linear to write",
      where: result.folder,
      next: "quantize the model first",
    });
  }
  for (const [name, layout] of source.linears) assertHolds(name, layout);
  const losses: TensorLoss[] = [];
  const tensors = outputTensors(source, (name, layout) => {
    const type = scaleType(layout, choice);
    const parts = partsOf(layout, type, experts.get(name) ?? null).map(
      (part): EncodedPart => ({ ...part, encode: (weight) => encodePart(name, weight, type, part.part) }),
    );
    return linearTensors(name, parts, async () => {
      const weight = await readSound(source, name, layout);
      losses.push(...lossOf(name, weight, type, layout));
      return weight;
    });
  });
  return { ...stored, tensors, losses };
}

function lossOf(name: string, weight: QuantizedWeight, type: ScaleType, { symmetric }: QuantizedLayout): TensorLoss[] {
  if (type === "F32" || (type === "F16" && symmetric)) return [];
  const relativeError = relativeLoss(weight, type);
  return relativeError === 0 ? [] : [{ tensor: name, type, relativeError }];
}

/**
 * Writes a result as a folder for mlx-lm. Weights stream through, one at a time; the source's other tensors keep their bytes.
 *
 * @returns the tensors that are rounded: none where scales are `exact`
 * @throws FormatError as `planMlx`; nothing is written then
 */
export async function writeMlx(
  result: ExportSource,
  outFolder: string,
  { scales = "exact", ...options }: WriteMlxOptions = {},
): Promise<readonly TensorLoss[]> {
  const { source, tensors, losses } = planMlx(result, scales);
  const quantization = quantizationMember(source);
  // mlx-lm writes both, and the hub shows the second.
  const members = { ...olderMembers(source.config), quantization, crossblock: provenanceMember(result, scales) };
  await writeModelFolder(source, outFolder, tensors, quantization, { ...options, members });
  return losses;
}
