import { join } from "node:path";
import { Checkpoint } from "../../checkpoint/checkpoint.js";
import { isJsonObject } from "../../checkpoint/json/json.js";
import type { ModelConfig } from "../../checkpoint/model-config.js";
import type { FolderWeights } from "../../checkpoint/tensor-reader.js";
import { CheckpointError } from "../../errors.js";
import { type DecodedType, DequantizedWeights } from "./dequantized-weights.js";
import { quantizationOf, readEncoding } from "./read-encoding.js";

/**
 * The weights of a model folder in floating point, whatever they are stored in. Configuration, names, types and shapes are checked
 * here; codes when they are read.
 *
 * @param config `config.json` of the folder
 * @throws ModelError for an encoding that is not read; CheckpointError for tensors that do not fit it
 */
export async function openSourceWeights(folder: string, config: ModelConfig): Promise<FolderWeights & Disposable> {
  const quantization = quantizationOf(config);
  if (quantization === null) return Checkpoint.open(folder);
  const where = join(folder, "config.json");
  const encoding = readEncoding(quantization, where);
  const stored = await Checkpoint.open(folder);
  try {
    const weights = encoding.find(stored);
    if (weights.length === 0) {
      throw new CheckpointError({
        where,
        what: `quantization_config says ${encoding.name}, and no weight is stored so`,
        next: "remove quantization_config from config.json if the weights are in floating point, or download the model again",
      });
    }
    return new DequantizedWeights(stored, weights, typeOf(config), encoding.name);
  } catch (error) {
    stored.close();
    throw error;
  }
}

/** What the model computes in, by its configuration. */
function typeOf(config: ModelConfig): DecodedType {
  const text = config["text_config"];
  const named =
    config["dtype"] ?? config["torch_dtype"] ?? (isJsonObject(text) ? (text["dtype"] ?? text["torch_dtype"]) : null);
  return named === "float16" ? "F16" : named === "float32" ? "F32" : "BF16";
}
