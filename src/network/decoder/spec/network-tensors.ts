import { type TensorShapes, unitTensors } from "../../unit-weights.js";
import { decoderUnits } from "../decoder-units.js";
import type { DecoderSpec, NormSpec } from "./decoder-spec.js";

/** Every tensor that the network reads, and the shape that it must have. A tied head has none. */
export function networkTensors(spec: DecoderSpec): TensorShapes {
  const { names, hiddenSize, vocabSize, maxPositions, embedding, finalNorm, head } = spec;
  const shapes = new Map<string, readonly number[]>([[`${names.embedding}.weight`, [vocabSize, hiddenSize]]]);
  const addNorm = (module: string, norm: NormSpec): void => {
    if (norm.gain !== "none") shapes.set(`${module}.weight`, [hiddenSize]);
    if (norm.bias) shapes.set(`${module}.bias`, [hiddenSize]);
  };
  if (embedding.positions !== null) {
    shapes.set(`${names.positions}.weight`, [embedding.positions.offset + maxPositions, hiddenSize]);
  }
  if (embedding.norm !== null) addNorm(String(names.embeddingNorm), embedding.norm);
  for (const unit of decoderUnits(spec)) {
    for (const [name, shape] of unitTensors(unit)) shapes.set(name, shape);
  }
  addNorm(names.finalNorm, finalNorm);
  if (!spec.tied) shapes.set(`${names.head}.weight`, [vocabSize, hiddenSize]);
  if (head.bias) shapes.set(`${names.head}.bias`, [vocabSize]);
  return shapes;
}
