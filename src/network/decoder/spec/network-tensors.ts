import {
  type DecoderSpec,
  hasBias,
  inBlock,
  linearName,
  linearRoles,
  linearShape,
  type NormRole,
} from "./decoder-spec.js";

/** Shapes of stored tensors by full name, in the order in which they are loaded. */
export type TensorShapes = ReadonlyMap<string, readonly number[]>;

/** Every tensor of a checkpoint that the network reads, and the shape that it must have. A tied head has none. */
export function networkTensors(spec: DecoderSpec): TensorShapes {
  const { names, hiddenSize, vocabSize, positions, maxPositions } = spec;
  const shapes = new Map<string, readonly number[]>([[`${names.embedding}.weight`, [vocabSize, hiddenSize]]]);
  if (positions.kind === "learned") {
    shapes.set(`${names.positions}.weight`, [positions.offset + maxPositions, hiddenSize]);
  }
  for (let block = 0; block < spec.blocks; block++) {
    for (const [name, shape] of blockTensors(spec, block)) shapes.set(name, shape);
  }
  addNorm(shapes, spec, names.finalNorm);
  if (!spec.tied) shapes.set(`${names.head}.weight`, [vocabSize, hiddenSize]);
  return shapes;
}

/** Those of one block. */
export function blockTensors(spec: DecoderSpec, block: number): TensorShapes {
  const { names, attention } = spec;
  const shapes = new Map<string, readonly number[]>();
  const norms: readonly NormRole[] = ["attentionNorm", "mlpNorm"];
  for (const role of norms) addNorm(shapes, spec, inBlock(names.norms[role], block));
  for (const role of linearRoles(spec)) {
    const name = linearName(spec, block, role);
    const shape = linearShape(spec, role);
    shapes.set(`${name}.weight`, shape);
    if (hasBias(spec, role)) shapes.set(`${name}.bias`, [shape[0]]);
  }
  if (attention.qkNorm) {
    for (const name of [names.qNorm, names.kNorm]) shapes.set(`${inBlock(name, block)}.weight`, [attention.headDim]);
  }
  return shapes;
}

function addNorm(shapes: Map<string, readonly number[]>, { norm, hiddenSize }: DecoderSpec, name: string): void {
  shapes.set(`${name}.weight`, [hiddenSize]);
  if (norm.kind === "layer") shapes.set(`${name}.bias`, [hiddenSize]);
}
