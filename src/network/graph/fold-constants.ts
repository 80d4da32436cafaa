import { noGrad, scope, Tensor } from "../../tensor/index.js";
import type { Graph, GraphConstant, GraphNode } from "./graph.js";

/**
 * The graph with constants where its nodes read them. PyTorch's exporter writes equal constants once, and an Identity for each other
 * reader: these read the constant itself. Exporters that fold nothing leave a Transpose between a matrix `[out, in]` and the MatMul
 * that reads it: it is done here, once, and its value is a constant.
 */
export function foldConstants(graph: Graph): Graph {
  return withTurnedWeights(withoutAliases(graph));
}

function withoutAliases(graph: Graph): Graph {
  const given = new Set(graph.outputs.map(({ name }) => name));
  const meant = new Map<string, string>();
  for (const { operator, inputs, outputs } of graph.nodes) {
    const [value = ""] = outputs;
    const name = meant.get(inputs[0] ?? "") ?? inputs[0] ?? "";
    if (operator === "Identity" && graph.constants.has(name) && !given.has(value)) meant.set(value, name);
  }
  if (meant.size === 0) return graph;
  const nodes = graph.nodes
    .filter(({ outputs }) => !meant.has(outputs[0] ?? ""))
    .map((node, index) => ({ ...node, index, inputs: node.inputs.map((name) => meant.get(name) ?? name) }));
  return { ...graph, nodes };
}

function withTurnedWeights(graph: Graph): Graph {
  const uses = new Map<string, number>();
  const used = [...graph.nodes.flatMap(({ inputs }) => inputs), ...graph.outputs.map(({ name }) => name)];
  for (const name of used) uses.set(name, (uses.get(name) ?? 0) + 1);
  const weights = new Set(
    graph.nodes.flatMap(({ operator, inputs }) => (operator === "MatMul" ? [inputs[1] ?? ""] : [])),
  );
  const turned = new Map<GraphNode, GraphConstant>();
  for (const node of graph.nodes) {
    const [value = ""] = node.outputs;
    const stored = graph.constants.get(node.inputs[0] ?? "");
    if (node.operator !== "Transpose" || stored === undefined || !weights.has(value) || uses.get(value) !== 1) continue;
    const perm = node.attributes.ints("perm") ?? [1, 0];
    if (stored.shape.length !== 2 || perm.join() !== "1,0" || !isFloat(stored)) continue;
    turned.set(node, transposed(stored, value));
  }
  if (turned.size === 0) return graph;
  const nodes = graph.nodes.filter((node) => !turned.has(node)).map((node, index) => ({ ...node, index }));
  const read = new Set([...nodes.flatMap(({ inputs }) => inputs), ...graph.outputs.map(({ name }) => name)]);
  const gone = new Set([...turned.keys()].map(({ inputs }) => inputs[0] ?? "").filter((name) => !read.has(name)));
  const constants = new Map([...graph.constants].filter(([name]) => !gone.has(name)));
  for (const constant of turned.values()) constants.set(constant.name, constant);
  return { ...graph, nodes, constants };
}

function isFloat({ dataType }: GraphConstant): boolean {
  return dataType === "float32" || dataType === "float16" || dataType === "bfloat16";
}

function transposed({ dataType, shape, bytes }: GraphConstant, name: string): GraphConstant {
  const [rows = 1, columns = 1] = shape;
  return {
    ...{ name, dataType, shape: [columns, rows] },
    bytes: () =>
      noGrad(() =>
        scope(() =>
          Tensor.fromBytes(Uint8Array.from(bytes()), shape, dataType as "float32")
            .transpose(0, 1)
            .contiguous()
            .toBytes(),
        ),
      ),
  };
}
