import type { Graph, GraphNode } from "../graph.js";
import { type Dependence, dependenceOf } from "./dependence.js";
import { immediateDominators } from "./dominators.js";

/** More layers than this between where paths part and where they meet are the whole network's skeleton, no block. */
const MOST_LAYERS = 16;

/** Nodes between a value that goes several ways and the node where these meet. */
export interface Block {
  /** In the graph's order; the last one is where the paths meet. */
  readonly nodes: readonly GraphNode[];
  readonly kind: "residual" | "attention" | "branches";
}

/**
 * The residual blocks, attention blocks and other branchings of a graph: of each node where paths meet, all nodes between
 * it and its immediate dominator, the value through which everything comes that enters them (but for conditions). So a block
 * has a single entry. Of blocks within blocks the outermost counts, unless it holds several one after the other: then it
 * is what links them, as the long paths of a U-Net do.
 */
export function findBlocks(
  graph: Graph,
  found: ReadonlyMap<string, Dependence>,
  isLayer: (node: GraphNode) => boolean,
): readonly Block[] {
  const nodes = graph.nodes.filter((node) => dependenceOf(found, node) === "data");
  const maker = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const before = (node: GraphNode): readonly GraphNode[] =>
    [...new Set(node.inputs)].map((name) => maker.get(name)).filter((each) => each !== undefined);
  const outside = (node: GraphNode): readonly string[] =>
    node.inputs.filter((name) => !maker.has(name) && found.get(name) === "data");
  const fromOutside = (node: GraphNode): boolean => outside(node).length > 0;
  const dominator = immediateDominators(nodes, before, fromOutside);
  const inside = new Map<GraphNode, Block>();
  for (const node of nodes) {
    const makers = before(node);
    if (makers.length + (fromOutside(node) ? 1 : 0) < 2) continue;
    const entry = dominator.get(node) ?? null;
    const region = between(entry, node, before);
    // The graph's input is an entry like any other value, where it is the only one.
    if (entry === null && new Set(region.flatMap(outside)).size > 1) continue;
    const layers = region.filter(isLayer).length;
    const products = region.filter(
      ({ operator, inputs }) => isProduct(operator) && inputs.every((name) => maker.has(name)),
    );
    if (layers === 0 && products.length === 0) continue;
    const held = new Set(region.map((each) => inside.get(each)).filter((each) => each !== undefined));
    if (held.size > 1 || layers > MOST_LAYERS) continue;
    const kind =
      products.length > 0 ? "attention" : node.operator === "Add" || node.operator === "Sum" ? "residual" : "branches";
    const block: Block = { nodes: region, kind };
    for (const each of region) inside.set(each, block);
  }
  return [...new Set(inside.values())];
}

function isProduct(operator: string): boolean {
  return operator === "MatMul" || operator === "Einsum";
}

/** Nodes on the way from the entry, which is not among them, to the exit, which is. */
function between(
  entry: GraphNode | null,
  exit: GraphNode,
  before: (node: GraphNode) => readonly GraphNode[],
): readonly GraphNode[] {
  const region = new Set([exit]);
  const open = [exit];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    for (const each of before(node)) {
      if (each === entry || region.has(each)) continue;
      region.add(each);
      open.push(each);
    }
  }
  return [...region].sort((a, b) => a.index - b.index);
}
