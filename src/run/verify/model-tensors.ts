import type { TensorReader } from "../../checkpoint/tensor-reader.js";
import { CrossblockError } from "../../errors.js";
import type { ExportSource } from "../../format/contract/export-source.js";
import { sourceSpec } from "../../format/source/source-spec.js";
import { networkReader } from "../../network/index.js";

/**
 * The tensors of the model that was quantized by what they are in the network, as those of its result are; as they are stored
 * for a network that is not computed here.
 */
export function modelTensors(result: ExportSource, model: TensorReader): TensorReader {
  try {
    return networkReader(sourceSpec(result), model);
  } catch (error) {
    if (error instanceof CrossblockError) return model;
    throw error;
  }
}
