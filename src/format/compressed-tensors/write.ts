import type { OutputTensor } from "../../checkpoint/safetensors/write-safetensors.js";
import { FormatError } from "../../errors.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import type { PackedWeight } from "../bits/packed-rows.js";
import type { ActivationQuantization, ExportSource, QuantizedLayout } from "../contract/export-source.js";
import { type EncodedPart, linearTensors, outputTensors, readPacked, readSound } from "../contract/output-tensors.js";
import { folderViews } from "../source/source-spec.js";
import { storedSource } from "../source/stored-source.js";
import { type WriteFolderOptions, type WrittenFolder, writeModelFolder } from "../write-model-folder.js";
import { encodePart } from "./encode.js";
import { INPUT_SCALE, INPUT_ZERO_POINT, partsOf, type StorageFormat, storageOf } from "./layout.js";
import { quantizationConfig } from "./quantization-config.js";

/**
 * Writes a result as a compressed-tensors folder for vLLM and transformers. Weights stream through: at most one tensor
 * of the source and its packed form are in memory.
 *
 * @throws FormatError when the source contradicts itself or would be overwritten
 * @throws EnvironmentError (space, permission); the weights then are not half-written
 */
export async function writeCompressedTensors(
  source: ExportSource,
  outFolder: string,
  options: WriteFolderOptions = {},
): Promise<WrittenFolder> {
  const stored = storedSource(source, folderViews(source));
  return writeModelFolder(stored, outFolder, tensorsOf(stored), quantizationConfig(stored), options);
}

/** The tensors of the folder, each with the promise of its bytes; nothing is read. Throws FormatErrors as the writer does. */
export function compressedTensors(source: ExportSource): readonly OutputTensor[] {
  return tensorsOf(storedSource(source, folderViews(source)));
}

function tensorsOf(source: ExportSource): readonly OutputTensor[] {
  assertWholeZeroPoints(source.activations);
  const tensors = (name: string, layout: QuantizedLayout): OutputTensor[] => {
    const storage = storageOf(layout, source.activations);
    const parts = encodedParts(source, name, layout, storage);
    // Packed rows are this format's own: they are copied.
    return linearTensors(
      name,
      parts,
      async () =>
        // Those of different bits are kept in rows of the widest.
        (storage === "pack-quantized" ? await readPacked(source, name, layout) : null) ??
        (await readSound(source, name, layout)),
    );
  };
  return outputTensors(source, tensors, { normMatrices: true });
}

// Known before anything is quantized.
function assertWholeZeroPoints(activations: ActivationQuantization | null): void {
  if (activations?.zeroPoint !== "fraction") return;
  throw new FormatError({
    where: "inputs of the Linears",
    what: "no code of their grids stands for zero, and compressed-tensors holds zero points that are integers",
    next: "use --set kurtosis.alignZero=true, which shifts each grid by less than half a step, or a scheme of A16",
  });
}

function encodedParts(
  source: ExportSource,
  name: string,
  layout: QuantizedLayout,
  storage: StorageFormat,
): readonly EncodedPart<PackedWeight | QuantizedWeight>[] {
  const { activations, inputScales } = source;
  const parts = partsOf(layout, storage).map((part) => ({
    ...part,
    encode: (weight: PackedWeight | QuantizedWeight) => encodePart(weight, storage, part.part),
  }));
  if (activations === null || activations.dynamic) return parts;
  const scale = inputScales.get(name);
  if (scale === undefined || !(scale > 0)) {
    throw new FormatError({
      what: `its static activation scale is ${scale ?? "missing"}`,
      where: name,
      next: "quantize again: calibration must have found a scale for every Linear",
    });
  }
  const bytes = new Uint8Array(Float32Array.of(scale).buffer);
  const scalePart = { part: INPUT_SCALE, dtype: "F32", shape: [1], byteLength: 4, encode: () => bytes } as const;
  if (activations.zeroPoint === undefined) return [scalePart, ...parts];
  return [scalePart, zeroPointPart(source, name, activations), ...parts];
}

// Signed as the codes of the input.
function zeroPointPart(
  source: ExportSource,
  name: string,
  { bits }: ActivationQuantization,
): EncodedPart<PackedWeight | QuantizedWeight> {
  const zeroPoint = source.inputZeroPoints?.get(name);
  if (zeroPoint === undefined || !Number.isInteger(zeroPoint) || zeroPoint < 0 || zeroPoint >= 2 ** bits) {
    throw new FormatError({
      what: `the zero point of its input is ${zeroPoint ?? "missing"}, and compressed-tensors holds integers of ${bits} bits`,
      where: name,
      next: "quantize again with input grids that hold zero (--set kurtosis.alignZero=true), or with a scheme of A16",
    });
  }
  const bytes = Uint8Array.of(zeroPoint - 2 ** (bits - 1));
  return { part: INPUT_ZERO_POINT, dtype: "I8", shape: [1], byteLength: 1, encode: () => bytes };
}
