import { join } from "node:path";
import { CheckpointError } from "../../errors.js";
import type { DecoderSpec } from "../decoder/spec/decoder-spec.js";
import { networkTensors } from "../decoder/spec/network-tensors.js";

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
  for (const [name, wanted] of networkTensors(spec)) {
    const shape = shapeOf(name);
    if (shape === undefined)
      throw name === `${spec.names.head}.weight` ? missingHead(name, folder) : missing(name, folder);
    if (shape.length === wanted.length && shape.every((size, i) => size === wanted[i])) continue;
    throw new CheckpointError({
      where: `${folder}, tensor "${name}"`,
      what: `has shape [${shape.join(", ")}], config.json asks for [${wanted.join(", ")}]`,
      next: "use the config.json that belongs to these weights",
    });
  }
}

/** The error for a network whose head is not its embedding and is not there. */
export function missingHead(name: string, folder: string): CheckpointError {
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
