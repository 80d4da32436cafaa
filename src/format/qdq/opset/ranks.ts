import type { OnnxModel, OnnxValue } from "../../../checkpoint/onnx/schema.js";
import { type CutGraph, exampleShapes, type Graph, type GraphNode } from "../../../network/index.js";

/** Operators whose result has as many dimensions as their first input. */
const KEEPS = new Set(
  `Abs Add AveragePool BatchNormalization Cast Celu Clip Concat Conv ConvTranspose Div Dropout Elu Erf Exp Gelu GlobalAveragePool
  GlobalMaxPool HardSigmoid HardSwish Identity InstanceNormalization LRN LayerNormalization LeakyRelu Log LpNormalization MatMul MaxPool Mish Mul Neg
  PRelu Pad Pow Relu Selu Sigmoid Slice Softmax Softsign Split Sqrt Sub Tanh ThresholdedRelu Transpose`.split(/\s+/),
);

/**
 * Dimensions of a graph's values, as far as the file tells them or they follow from operators and constants; what does not, as the
 * shapes that older exporters compute, is found by computing zeros, where the file has the sizes of its inputs.
 */
export function valueRanks(cut: CutGraph, model: OnnxModel): (value: string) => number | null {
  const { graph } = cut;
  const known = new Map<string, number>();
  const declared = [...(model.graph?.inputs ?? []), ...(model.graph?.outputs ?? []), ...(model.graph?.values ?? [])];
  for (const { name = "", type } of declared as readonly OnnxValue[]) {
    const rank = type?.tensor?.shape?.dimensions?.length;
    if (rank !== undefined) known.set(name, rank);
  }
  for (const { name, shape } of graph.constants.values()) known.set(name, shape.length);
  for (const node of graph.nodes) {
    const rank = rankOf(node, graph, known);
    for (const output of node.outputs) if (rank !== null && !known.has(output)) known.set(output, rank);
  }
  let shapes: ReturnType<typeof exampleShapes> | undefined;
  return (value) => {
    const told = known.get(value);
    if (told !== undefined) return told;
    if (shapes === undefined) shapes = exampleShapes(cut);
    const shape = shapes?.get(value);
    return shape === undefined ? null : shape.length + 1;
  };
}

function rankOf({ operator, inputs }: GraphNode, graph: Graph, known: ReadonlyMap<string, number>): number | null {
  if (operator === "Gemm" || operator === "Flatten") return 2;
  if (operator === "Reshape") return graph.constants.get(inputs[1] ?? "")?.shape[0] ?? null;
  const ranks = inputs.map((name) => known.get(name));
  // Broadcasting gives as many as the larger operand has.
  if (["Add", "Sub", "Mul", "Div", "Pow"].includes(operator)) {
    const [a, b] = ranks;
    return a === undefined || b === undefined ? null : Math.max(a, b);
  }
  return KEEPS.has(operator) ? (ranks[0] ?? null) : null;
}
