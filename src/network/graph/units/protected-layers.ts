import type { Graph, GraphNode } from "../graph.js";
import { type Dependence, dependenceOf } from "./dependence.js";
import { type GraphLayer, graphLayers } from "./layers.js";

/** What moves or repeats numbers and computes nothing new of them. */
const MOVING: ReadonlySet<string> = new Set([
  ...["AveragePool", "Concat", "Expand", "Identity", "MaxPool", "Pad", "Reshape", "Resize", "Slice", "Split"],
  ...["Squeeze", "Transpose", "Unsqueeze", "Upsample"],
]);

/**
 * The layers of a graph, by their nodes. Where a part of it follows from a time step, as in a diffusion network, those that
 * TFMQ-DM leaves in full precision say why: the first and the last ones, the first of the time embedding, convolutions that
 * shrink the image, and 1 x 1 convolutions beside a block. They are few and small, and errors in them reach everything.
 * Source: the layers that the code of TFMQ-DM names (skip, op, shortcut, downsample), found here without names.
 */
export function planLayers(
  graph: Graph,
  dependence: ReadonlyMap<string, Dependence>,
): ReadonlyMap<GraphNode, GraphLayer> {
  const layers = graphLayers(graph);
  const ofTime = [...layers.keys()].some((node) => dependenceOf(dependence, node) === "condition");
  if (!ofTime) return layers;
  const maker = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const readers = new Map<string, GraphNode[]>();
  for (const node of graph.nodes) {
    for (const name of new Set(node.inputs)) readers.set(name, [...(readers.get(name) ?? []), node]);
  }
  const facts: Facts = { graph, layers, maker, readers, dependence };
  const behindLayers = reachable(graph, layers);
  const last = lastLayers(facts);
  const reason = (node: GraphNode): string | null => {
    const first = !node.inputs.some((name) => behindLayers.has(name));
    if (dependenceOf(dependence, node) === "condition") return first ? "first layer of a time embedding" : null;
    if (first) return "first layer";
    if (last.has(node)) return "last layer";
    if (node.attributes.ints("strides")?.some((stride) => stride > 1) === true) return "downsampling convolution";
    return isShortcut(facts, node) ? "shortcut beside a block" : null;
  };
  return new Map(
    [...layers].map(([node, layer]) => {
      const protectedAs = reason(node);
      return [node, protectedAs === null ? layer : { ...layer, plan: { ...layer.plan, protectedAs } }];
    }),
  );
}

interface Facts {
  readonly graph: Graph;
  readonly layers: ReadonlyMap<GraphNode, GraphLayer>;
  readonly maker: ReadonlyMap<string, GraphNode>;
  readonly readers: ReadonlyMap<string, readonly GraphNode[]>;
  readonly dependence: ReadonlyMap<string, Dependence>;
}

/** Values that some layer comes before, of those that follow from data or from conditions. */
function reachable(graph: Graph, layers: ReadonlyMap<GraphNode, GraphLayer>): ReadonlySet<string> {
  const behind = new Set<string>();
  for (const node of graph.nodes) {
    if (!layers.has(node) && !node.inputs.some((name) => behind.has(name))) continue;
    for (const name of node.outputs) behind.add(name);
  }
  return behind;
}

/** Layers of data that the graph's outputs follow from with no other layer between. */
function lastLayers({ graph, layers, maker, dependence }: Facts): ReadonlySet<GraphNode> {
  const found = new Set<GraphNode>();
  const seen = new Set<GraphNode>();
  const open = graph.outputs.map(({ name }) => name);
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const node = maker.get(name);
    if (node === undefined || seen.has(node) || dependenceOf(dependence, node) !== "data") continue;
    seen.add(node);
    if (layers.has(node)) found.add(node);
    else open.push(...node.inputs);
  }
  return found;
}

/** A 1 x 1 convolution of what a block begins with, which is added to what the block makes of it. */
function isShortcut({ graph, maker, readers }: Facts, node: GraphNode): boolean {
  const kernel = graph.constants.get(node.inputs[1] ?? "")?.shape.slice(2) ?? [];
  if (node.operator !== "Conv" || kernel.some((size) => size !== 1)) return false;
  const [output = ""] = node.outputs;
  const [sum, ...others] = readers.get(output) ?? [];
  if (sum === undefined || others.length > 0 || (sum.operator !== "Add" && sum.operator !== "Sum")) return false;
  for (let entry = node.inputs[0] ?? ""; ; ) {
    if (isEntry(sum, output, entry, maker)) return true;
    const before = maker.get(entry);
    if (before === undefined || !MOVING.has(before.operator)) return false;
    entry = before.inputs[0] ?? "";
  }
}

/** Whether what a sum adds to a shortcut follows from a value. */
function isEntry(sum: GraphNode, shortcut: string, entry: string, maker: ReadonlyMap<string, GraphNode>): boolean {
  const seen = new Set<string>();
  const open = sum.inputs.filter((name) => name !== shortcut);
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (name === entry) return true;
    if (seen.has(name)) continue;
    seen.add(name);
    open.push(...(maker.get(name)?.inputs ?? []));
  }
  return false;
}
