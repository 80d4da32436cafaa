import { OnnxContent } from "../../checkpoint/onnx/onnx-content.js";
import { DATA_TYPE_BYTES } from "../../checkpoint/onnx/schema.js";
import { cutGraph, type GraphConstant, type GraphUnit, readGraph } from "../../network/index.js";
import type { InspectedTensor } from "../contract/inspected-tensor.js";
import type { InspectedUnit } from "../contract/inspected-unit.js";

/** What an ONNX file holds that crossblock did not write: its constants, and the units that it is cut into. */
export interface InspectedGraph {
  /** The file's name of the graph. */
  readonly family: string;
  readonly tensors: readonly InspectedTensor[];
  readonly units: readonly InspectedUnit[];
}

/** Null for an export of crossblock's, whose quantized Linears say more. @throws FormatError, ModelError */
export function inspectGraph(file: string): InspectedGraph | null {
  using content = OnnxContent.open(file);
  if (content.model.producerName === "crossblock") return null;
  const graph = readGraph(content);
  return {
    family: content.model.graph?.name || "graph",
    tensors: [...graph.constants.values()].map(inspectedConstant),
    units: cutGraph(graph).units.map(inspectedUnit),
  };
}

function inspectedConstant({ name, shape, dataType }: GraphConstant): InspectedTensor {
  const bytes = Math.ceil(shape.reduce((product, size) => product * size, DATA_TYPE_BYTES[dataType]));
  const bitsPerWeight = shape.includes(0) ? 0 : 8 * DATA_TYPE_BYTES[dataType];
  return { name, shape, type: dataType, bytes, bitsPerWeight, codeBits: null, histogram: null, scales: null };
}

function inspectedUnit({ plan, kind, nodes, reads, writes }: GraphUnit): InspectedUnit {
  return {
    index: plan.index,
    kind,
    layers: plan.layers.map(({ module }) => module),
    weights: plan.layers.reduce((sum, { rows, columns }) => sum + rows * columns, 0),
    nodes: nodes.length,
    reads,
    writes,
  };
}
