import { type TensorShapes, unitTensors } from "../../unit-weights.js";
import { decoderUnits } from "../decoder-units.js";
import type { DecoderSpec } from "./decoder-spec.js";

/** Every tensor of a checkpoint that the network reads, and the shape that it must have. A tied head has none. */
export function networkTensors(spec: DecoderSpec): TensorShapes {
  const { names, hiddenSize, vocabSize, positions, maxPositions, norm } = spec;
  const shapes = new Map<string, readonly number[]>([[`${names.embedding}.weight`, [vocabSize, hiddenSize]]]);
  if (positions.kind === "learned") {
    shapes.set(`${names.positions}.weight`, [positions.offset + maxPositions, hiddenSize]);
  }
  for (const unit of decoderUnits(spec)) {
    for (const [name, shape] of unitTensors(unit)) shapes.set(name, shape);
  }
  shapes.set(`${names.finalNorm}.weight`, [hiddenSize]);
  if (norm.kind === "layer") shapes.set(`${names.finalNorm}.bias`, [hiddenSize]);
  if (!spec.tied) shapes.set(`${names.head}.weight`, [vocabSize, hiddenSize]);
  return shapes;
}
