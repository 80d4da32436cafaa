import type { GraphNode } from "../graph.js";

/**
 * For nodes that follow from conditions alone, the one group that reads what they make, directly or through others of them;
 * null where several do, or none.
 *
 * @param nodes in an order in which they can be computed
 */
export function onlyReaders<G extends { readonly nodes: readonly GraphNode[] }>(
  nodes: readonly GraphNode[],
  groups: readonly G[],
): ReadonlyMap<GraphNode, G | null> {
  /** Groups by the value that they read; null in place of one stands for several. */
  const readers = new Map<string, Set<G | null>>();
  const read = (name: string, by: G | null): void => {
    const known = readers.get(name) ?? new Set();
    readers.set(name, known.add(by));
  };
  for (const group of groups) {
    for (const { inputs } of group.nodes) for (const name of inputs) read(name, group);
  }
  const found = new Map<GraphNode, G | null>();
  for (const node of [...nodes].reverse()) {
    const all = new Set(node.outputs.flatMap((name) => [...(readers.get(name) ?? [])]));
    const [only = null] = all;
    const owner = all.size === 1 ? only : null;
    found.set(node, owner);
    for (const name of node.inputs) read(name, owner);
  }
  return found;
}
