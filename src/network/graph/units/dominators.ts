import type { GraphNode } from "../graph.js";

/**
 * The immediate dominator of each node: the last node that every path to it goes through; null where there is none but the
 * outside itself. Source: Cooper, Harvey and Kennedy, "A simple, fast dominance algorithm" (2001); without circles one
 * pass in the order of the graph is all that it takes.
 *
 * @param nodes in an order in which they can be computed
 * @param before the nodes that a node reads from
 * @param fromOutside whether it reads from outside of these nodes as well
 */
export function immediateDominators(
  nodes: readonly GraphNode[],
  before: (node: GraphNode) => readonly GraphNode[],
  fromOutside: (node: GraphNode) => boolean,
): ReadonlyMap<GraphNode, GraphNode | null> {
  const dominators = new Map<GraphNode, GraphNode | null>();
  const depth = new Map<GraphNode | null, number>([[null, 0]]);
  const up = (node: GraphNode | null): GraphNode | null => (node === null ? null : (dominators.get(node) ?? null));
  const common = (a: GraphNode | null, b: GraphNode | null): GraphNode | null => {
    let [x, y] = [a, b];
    while (x !== y) {
      if ((depth.get(x) ?? 0) >= (depth.get(y) ?? 0)) x = up(x);
      else y = up(y);
    }
    return x;
  };
  for (const node of nodes) {
    const [first = null, ...others] = before(node);
    const own = fromOutside(node) ? null : others.reduce(common, first);
    dominators.set(node, own);
    depth.set(node, (depth.get(own) ?? 0) + 1);
  }
  return dominators;
}
