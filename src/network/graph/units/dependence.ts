import type { Graph, GraphNode, GraphPort } from "../graph.js";
import { operators } from "../operators/index.js";

/**
 * What a value follows from: `fixed`, from constants and shapes alone; `condition`, from inputs that are one number for each
 * example too, such as a time step; `data`, from what the network is about.
 */
export type Dependence = "fixed" | "condition" | "data";

/** What every value of a graph follows from. Constants and inputs are among them. */
export function dependences(graph: Graph): ReadonlyMap<string, Dependence> {
  const found = new Map<string, Dependence>();
  for (const name of graph.constants.keys()) found.set(name, "fixed");
  // A network all of whose inputs are single numbers is about those.
  const someData = graph.inputs.some((port) => !isCondition(port));
  for (const port of graph.inputs) found.set(port.name, someData && isCondition(port) ? "condition" : "data");
  for (const node of graph.nodes) {
    const all = node.inputs.map((name) => found.get(name) ?? "fixed");
    const own = strongest(operators.get(node.operator)?.ofShape === true ? [] : all);
    for (const output of node.outputs) found.set(output, own);
  }
  return found;
}

/** Whether an input is one number for each example: a time step, a noise level. */
function isCondition({ shape }: GraphPort): boolean {
  return shape?.slice(1).every((size) => size === 1) === true;
}

/** What the values that a node makes follow from. */
export function dependenceOf(found: ReadonlyMap<string, Dependence>, { outputs }: GraphNode): Dependence {
  return found.get(outputs.find((name) => name !== "") ?? "") ?? "fixed";
}

function strongest(all: readonly Dependence[]): Dependence {
  return all.includes("data") ? "data" : all.includes("condition") ? "condition" : "fixed";
}
