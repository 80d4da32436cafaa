import { join } from "node:path";
import { CheckpointError } from "../../errors.js";
import type { DecoderSpec } from "../decoder/spec/decoder-spec.js";
import { networkTensors } from "../decoder/spec/network-tensors.js";
import { requireShape } from "../load-tensor.js";

/**
 * Refuses a model of which the network would miss a tensor, or find one of another shape; reads none.
 *
 * @param shapeOf shape of a stored tensor by its full name; undefined where there is none
 * @throws CheckpointError naming the tensor and what to do
 */
export function requireTensors(
  spec: DecoderSpec,
  folder: string,
  shapeOf: (name: string) => readonly number[] | undefined,
): void {
  eachRequired(spec, folder, shapeOf, (name, wanted, shape) => {
    if (shape === undefined) throw missing(name, folder);
    requireShape(`${folder}, tensor "${name}"`, shape, wanted);
  });
}

/**
 * Calls `judge` with each tensor of the network, the shape that it has to have and that of the stored one.
 *
 * @throws CheckpointError where the head is not the embedding and is not there
 */
export function eachRequired(
  spec: DecoderSpec,
  folder: string,
  shapeOf: (name: string) => readonly number[] | undefined,
  judge: (name: string, wanted: readonly number[], shape: readonly number[] | undefined) => void,
): void {
  for (const [name, wanted] of networkTensors(spec)) {
    const shape = shapeOf(name);
    if (shape === undefined && name === `${spec.names.head}.weight`) throw missingHead(name, folder);
    judge(name, wanted, shape);
  }
}

function missingHead(name: string, folder: string): CheckpointError {
  return new CheckpointError({
    where: `${folder}, tensor "${name}"`,
    what: "is not in the checkpoint, and config.json does not say that the head is the embedding",
    why: "tie_word_embeddings is false or absent",
    next: `set tie_word_embeddings to true in ${join(folder, "config.json")} if the head was tied, or download the weight file that holds ${name}`,
  });
}

function missing(name: string, folder: string): CheckpointError {
  return new CheckpointError({
    where: `${folder}, tensor "${name}"`,
    what: "is not in the checkpoint",
    next: "download the model again, or check that config.json belongs to it",
  });
}
