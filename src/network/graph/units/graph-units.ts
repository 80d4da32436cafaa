import type { UnitPlan } from "../../unit.js";
import type { Graph, GraphNode } from "../graph.js";
import { type Block, findBlocks } from "./blocks.js";
import { onlyReaders } from "./condition-readers.js";
import { type Dependence, dependenceOf, dependences } from "./dependence.js";
import type { GraphLayer } from "./layers.js";
import { planLayers } from "./protected-layers.js";

/** A part of a graph that is computed and reconstructed as one. */
export interface GraphUnit {
  readonly plan: UnitPlan;
  /** `condition`: the part that follows from time steps and the like alone. `layer`: a single one, with what follows it. */
  readonly kind: Block["kind"] | "condition" | "layer";
  /** In the order in which they are computed. Nodes that follow from shapes alone belong to no unit. */
  readonly nodes: readonly GraphNode[];
  readonly layers: readonly GraphLayer[];
  /** Values that it reads, made by earlier units or given from outside, and values that later ones read. */
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  /** All values that later units read, whoever made them, the graph's outputs, and its conditions. */
  readonly leaves: readonly string[];
}

/** A graph cut into units. */
export interface CutGraph {
  readonly graph: Graph;
  readonly units: readonly GraphUnit[];
  readonly dependence: ReadonlyMap<string, Dependence>;
}

/**
 * Where what follows from conditions alone belongs: `together`, into one unit; or what a single block reads (its projection
 * of a time embedding) to the block (`readers`), and only what several read into a unit of its own.
 */
export type ConditionCut = "together" | "readers";

/**
 * Cuts a graph into units: first what follows from conditions alone (TFMQ's temporal block, a virtual unit whose outputs are
 * the projections that blocks read, wherever in the graph they are computed), then blocks as `findBlocks` gives them, and
 * single layers. What follows a layer or a block without a weight of its own belongs to it.
 *
 * @param single whether blocks are left out, so that every layer is a unit
 */
export function cutGraph(
  graph: Graph,
  conditions: ConditionCut = "together",
  { single = false }: { readonly single?: boolean } = {},
): CutGraph {
  const dependence = dependences(graph);
  const layers = planLayers(graph, dependence);
  const isLayer = (node: GraphNode): boolean => layers.has(node);
  const blocks = single ? [] : findBlocks(graph, dependence, isLayer);
  const condition = graph.nodes.filter((node) => dependenceOf(dependence, node) === "condition");
  const data = graph.nodes.filter((node) => dependenceOf(dependence, node) === "data");
  const apart = condition.some(isLayer);
  const groups = joined(contracted([...(apart ? [] : condition), ...data], blocks), isLayer);
  const all = apart ? withConditions(condition, groups, conditions) : groups;
  return { graph, dependence, units: withPorts(graph, all, dependence, layers) };
}

function withConditions(
  condition: readonly GraphNode[],
  groups: readonly Group[],
  cut: ConditionCut,
): readonly Group[] {
  const owners = cut === "together" ? null : onlyReaders(condition, groups);
  const shared = condition.filter((node) => (owners?.get(node) ?? null) === null);
  // They follow from what comes before all groups, so that they may come first in theirs.
  const joint = groups.map((group) => {
    const own = condition.filter((node) => owners?.get(node) === group);
    return own.length === 0 ? group : { ...group, nodes: [...own, ...group.nodes] };
  });
  return shared.length === 0 ? joint : [{ kind: "condition", nodes: shared }, ...joint];
}

/** Joins a unit to the next where it writes a value that can't pass between units. */
export function mergedUnits(cut: CutGraph, passes: (value: string) => boolean): CutGraph {
  const { graph, dependence, units } = cut;
  const groups: { kind: GraphUnit["kind"]; nodes: GraphNode[] }[] = [];
  let open = false;
  for (const { kind, nodes, writes } of units) {
    const last = groups.at(-1);
    if (open && last !== undefined) {
      last.nodes.push(...nodes);
      if (last.kind === "layer") last.kind = kind;
    } else groups.push({ kind, nodes: [...nodes] });
    open = !writes.every(passes);
  }
  if (groups.length === units.length) return cut;
  const merged = withPorts(graph, groups, dependence, planLayers(graph, dependence));
  return mergedUnits({ ...cut, units: merged }, passes);
}

interface Group {
  readonly kind: GraphUnit["kind"];
  readonly nodes: readonly GraphNode[];
}

/** Blocks and single nodes, in an order in which they can be computed: the graph's own as far as that goes. */
function contracted(nodes: readonly GraphNode[], blocks: readonly Block[]): readonly (Group | GraphNode)[] {
  const blockOf = new Map(blocks.flatMap((block) => block.nodes.map((node) => [node, block] as const)));
  const maker = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const done = new Set<Block | GraphNode>();
  const order: (Group | GraphNode)[] = [];
  const visit = (start: GraphNode): void => {
    const stack: { readonly item: Block | GraphNode; readonly ready: boolean }[] = [
      { item: blockOf.get(start) ?? start, ready: false },
    ];
    for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
      const { item, ready } = top;
      if (done.has(item)) continue;
      if (ready) {
        done.add(item);
        order.push(item);
        continue;
      }
      stack.push({ item, ready: true });
      const members = "nodes" in item ? item.nodes : [item];
      const makers = members.flatMap(({ inputs }) => inputs.map((name) => maker.get(name)));
      for (const node of makers.reverse()) {
        if (node === undefined) continue;
        const other = blockOf.get(node) ?? node;
        if (other !== item && !done.has(other)) stack.push({ item: other, ready: false });
      }
    }
  };
  for (const node of nodes) visit(node);
  return order;
}

/** Nodes without a weight join what is before them; those that come first join what follows. */
function joined(items: readonly (Group | GraphNode)[], isLayer: (node: GraphNode) => boolean): readonly Group[] {
  const groups: { kind: GraphUnit["kind"]; nodes: GraphNode[] }[] = [];
  let first: GraphNode[] = [];
  for (const item of items) {
    const block = "nodes" in item;
    const last = groups.at(-1);
    if (!block && !isLayer(item)) {
      (last?.nodes ?? first).push(item);
      continue;
    }
    groups.push({ kind: block ? item.kind : "layer", nodes: [...first, ...(block ? item.nodes : [item])] });
    first = [];
  }
  if (first.length > 0) groups.push({ kind: "layer", nodes: first });
  return groups;
}

function withPorts(
  graph: Graph,
  groups: readonly Group[],
  dependence: ReadonlyMap<string, Dependence>,
  layers: ReadonlyMap<GraphNode, GraphLayer>,
): readonly GraphUnit[] {
  const lastReader = new Map<string, number>();
  groups.forEach(({ nodes }, i) => {
    for (const { inputs } of nodes) for (const name of inputs) lastReader.set(name, i);
  });
  for (const { name } of graph.outputs) lastReader.set(name, groups.length);
  const alive = new Set(graph.inputs.map(({ name }) => name));
  // Wherever a quantizer is, its range may depend on the time step: conditions pass all units.
  const stays = new Set(graph.inputs.map(({ name }) => name).filter((name) => dependence.get(name) === "condition"));
  return groups.map(({ kind, nodes }, index) => {
    const made = new Set(nodes.flatMap(({ outputs }) => outputs));
    const isValue = (name: string): boolean => name !== "" && (dependence.get(name) ?? "fixed") !== "fixed";
    const reads = [...new Set(nodes.flatMap(({ inputs }) => inputs))].filter(
      (name) => isValue(name) && !made.has(name),
    );
    const writes = [...made].filter((name) => name !== "" && (lastReader.get(name) ?? -1) > index);
    for (const name of writes) alive.add(name);
    for (const name of alive) if ((lastReader.get(name) ?? -1) <= index && !stays.has(name)) alive.delete(name);
    const own = nodes.map((node) => layers.get(node)).filter((layer) => layer !== undefined);
    const plan: UnitPlan = {
      index,
      layers: own.map((layer) => layer.plan),
      norms: [],
      sites: own.map((layer) => ({ producer: null, consumers: [layer.plan.name], passes: { kind: "none" } })),
      writes,
      needs: [...new Set([...reads, ...stays])],
      ...(kind === "condition" && { ofConditions: true }),
    };
    return { plan, kind, nodes, layers: own, reads, writes, leaves: [...alive] };
  });
}
