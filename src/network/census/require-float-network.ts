import { quote } from "../../checkpoint/json/json.js";
import type { TensorReader } from "../../checkpoint/tensor-reader.js";
import { CheckpointError } from "../../errors.js";
import { decoderUnits } from "../decoder/decoder-units.js";
import type { DecoderSpec } from "../decoder/spec/decoder-spec.js";
import { requireStored } from "../load-tensor.js";
import { isPackedPart } from "./missing-tensor.js";
import { eachRequired } from "./require-tensors.js";

/**
 * Checks by the headers alone that a checkpoint holds the whole network, in floating point, so that a run does not find out
 * in its last block.
 *
 * @throws CheckpointError naming the first tensor that is missing, has another shape or dtype, or is quantized already
 */
export function requireFloatNetwork(checkpoint: Pick<TensorReader, "folder" | "tensors">, spec: DecoderSpec): void {
  const shapeOf = (name: string): readonly number[] | undefined => checkpoint.tensors.get(name)?.shape;
  eachRequired(spec, checkpoint.folder, shapeOf, (name, wanted) => void requireStored(checkpoint, name, wanted));
  const modules = new Set(decoderUnits(spec).flatMap(({ layers }) => layers.map(({ module }) => module)));
  for (const name of checkpoint.tensors.keys()) {
    const module = name.slice(0, Math.max(0, name.lastIndexOf(".")));
    if (!modules.has(module) || !isPackedPart(name, module)) continue;
    throw new CheckpointError({
      where: `${checkpoint.folder}, tensor ${quote(name)}`,
      what: "belongs to a weight that is quantized already",
      why: "an export would have two tensors of this name",
      next: "give the folder of the unquantized model",
    });
  }
}
