import { numbersIn } from "../../../tensor/index.js";
import type { LayerPlan } from "../../unit.js";
import type { Graph, GraphConstant, GraphNode } from "../graph.js";

/** How the weight that a file holds is turned into `[out, in]`. */
export type StoredAs =
  /** `[out, in, ...kernel]` or `[out, in]`: as it is. */
  | "rows"
  /** `[in, out]`, or `[in, out / groups, ...kernel]` of a ConvTranspose: transposed, within each group. */
  | "columns";

/** A node whose weight is a constant: a convolution or a product with a matrix, as a Linear `[out, in / groups * kernel]`. */
export interface GraphLayer {
  readonly node: GraphNode;
  readonly plan: LayerPlan;
  /** The constants that it reads. */
  readonly weight: string;
  readonly bias: string | null;
  readonly stored: StoredAs;
  /** Of a ConvTranspose whose rows are transposed within each of them; else 1. */
  readonly groups: number;
  /** Of the weight in the file. */
  readonly shape: readonly number[];
}

/** Layers of a graph, by their nodes. A weight that several nodes share is a constant, and no layer's. */
export function graphLayers(graph: Graph): ReadonlyMap<GraphNode, GraphLayer> {
  const uses = new Map<string, number>();
  for (const { inputs } of graph.nodes) for (const name of inputs) uses.set(name, (uses.get(name) ?? 0) + 1);
  const layers = new Map<GraphNode, GraphLayer>();
  const modules = new Set<string>();
  const given = givenValues(graph);
  const last = lastValues(graph);
  for (const node of graph.nodes) {
    const weight = graph.constants.get(node.inputs[1] ?? "");
    if (weight === undefined || uses.get(weight.name) !== 1 || !isFloat(weight)) continue;
    // Nothing is there to quantize.
    if (numbersIn(weight.shape) === 0) continue;
    const kind = layerKind(graph, node, weight);
    if (kind === null) continue;
    const module = distinct(modules, moduleName(node, weight.name));
    const rows = (kind.stored === "rows" ? weight.shape[0] : kind.groups * (weight.shape[1] ?? 1)) ?? 1;
    const columns = numbersIn(weight.shape) / Math.max(1, rows);
    const reads = node.inputs[0] ?? "";
    const bias = kind.bias !== null;
    const isGiven = given.has(reads);
    const plan: LayerPlan = {
      ...{ name: module, module, rows, columns, bias, addsTo: null, reads },
      ...(kind.bias !== null && biasFacts(graph, kind.bias, uses.get(kind.bias) ?? 0)),
      ...(isGiven && { readsInput: true }),
      ...(node.outputs.some((name) => last.has(name)) && { makesOutput: true }),
    };
    layers.set(node, { node, plan, weight: weight.name, shape: weight.shape, ...kind });
  }
  return layers;
}

function biasFacts(graph: Graph, name: string, uses: number): Pick<LayerPlan, "sharesBias" | "biasType"> {
  const type = graph.constants.get(name)?.dataType;
  return {
    ...(uses > 1 && { sharesBias: true }),
    ...((type === "float16" || type === "bfloat16") && { biasType: type }),
  };
}

/** The graph's inputs, and what other operators than products make of them: an image, transposed or scaled. */
function givenValues(graph: Graph): ReadonlySet<string> {
  const given = new Set(graph.inputs.map(({ name }) => name));
  for (const { operator, inputs, outputs } of graph.nodes) {
    if (PRODUCTS.has(operator)) continue;
    const values = inputs.filter((name) => name !== "" && !graph.constants.has(name));
    if (values.length > 0 && values.every((name) => given.has(name))) for (const name of outputs) given.add(name);
  }
  return given;
}

/** The graph's outputs, and values that no product separates from them. */
function lastValues(graph: Graph): ReadonlySet<string> {
  const last = new Set(graph.outputs.map(({ name }) => name));
  for (const { operator, inputs, outputs } of [...graph.nodes].reverse()) {
    if (PRODUCTS.has(operator) || !outputs.some((name) => last.has(name))) continue;
    for (const name of inputs) last.add(name);
  }
  return last;
}

const PRODUCTS: ReadonlySet<string> = new Set(["Conv", "ConvTranspose", "MatMul", "Gemm", "Einsum"]);

function layerKind(
  graph: Graph,
  { operator, attributes, inputs }: GraphNode,
  { shape }: GraphConstant,
): Pick<GraphLayer, "stored" | "bias" | "groups"> | null {
  const third = inputs[2] ?? "";
  const bias = third === "" ? null : third;
  const known = bias === null ? null : (graph.constants.get(bias) ?? undefined);
  if (known === undefined) return null;
  switch (operator) {
    case "Conv":
      return shape.length > 2 ? { stored: "rows", bias, groups: 1 } : null;
    case "ConvTranspose": {
      const groups = attributes.int("group", 1);
      if (shape.length <= 2 || groups < 1 || (shape[0] ?? 0) % groups !== 0) return null;
      // Of single channels: `[out, 1, ...kernel]`.
      if (shape[0] === groups && shape[1] === 1) return { stored: "rows", bias, groups: 1 };
      return { stored: "columns", bias, groups };
    }
    case "MatMul":
      return shape.length === 2 ? { stored: "columns", bias: null, groups: 1 } : null;
    case "Gemm": {
      if (shape.length !== 2 || attributes.int("transA", 0) !== 0) return null;
      if (attributes.float("alpha", 1) !== 1 || attributes.float("beta", 1) !== 1) return null;
      const stored = attributes.int("transB", 0) === 0 ? "columns" : "rows";
      const rows = stored === "rows" ? shape[0] : shape[1];
      return known === null || numbersIn(known.shape) === rows ? { stored, bias, groups: 1 } : null;
    }
    default:
      return null;
  }
}

function isFloat({ dataType }: GraphConstant): boolean {
  return dataType === "float32" || dataType === "float16" || dataType === "bfloat16";
}

// Exporters name weights after modules; others have numbers, and the node says more.
function moduleName(node: GraphNode, weight: string): string {
  const name = weight.endsWith(".weight") ? weight.slice(0, -".weight".length) : node.name.replace(/^\//, "");
  // JSON records are kept by these names, and an object of JavaScript has a property of this one already.
  return name === "__proto__" ? "__proto__.1" : name;
}

function distinct(taken: Set<string>, name: string): string {
  let free = name;
  for (let i = 2; taken.has(free); i++) free = `${name}.${i}`;
  taken.add(free);
  return free;
}
