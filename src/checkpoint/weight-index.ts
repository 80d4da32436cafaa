import { CheckpointError } from "../errors.js";
import { isJsonObject, parseJsonObject, quote } from "./json/json.js";
import { isPlainFileName } from "./model-folder.js";

export const singleWeightFile = "model.safetensors";
export const weightIndexFile = "model.safetensors.index.json";

/** Bytes of the largest index that is read: a thousand times that of a 70B model. */
export const maxIndexLength = 64_000_000;

/**
 * Parses `model.safetensors.index.json`: which shard holds which tensor.
 * @throws CheckpointError when it is malformed, names a tensor twice, or a shard that is no plain file name
 */
export function parseWeightIndex(text: string, where: string): ReadonlyMap<string, string> {
  const next = "restore the index from the model's source";
  const { weight_map: map } = parseJsonObject(text, where, "refuse");
  if (!isJsonObject(map)) throw new CheckpointError({ what: "weight_map is missing or not an object", where, next });
  const shards = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(map)) {
    if (typeof shard !== "string" || !isPlainFileName(shard) || !shard.endsWith(".safetensors")) {
      throw new CheckpointError({
        what: `weight_map sends it to ${quote(String(shard))}, not to a safetensors file of this folder`,
        where: `${where}, tensor ${quote(tensor)}`,
        next: "restore the index from the model's source, and trust only sources you know",
      });
    }
    shards.set(tensor, shard);
  }
  if (shards.size === 0) throw new CheckpointError({ what: "weight_map is empty", where, next });
  return shards;
}
