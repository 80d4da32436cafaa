import { noGrad, scope } from "../../../tensor/index.js";
import type { Graph } from "../graph.js";
import { constantTensor } from "./constant-tensor.js";

/** What hands single numbers on as they are. */
const PASSES: ReadonlySet<string> = new Set(["Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"]);

/**
 * A number that a graph can compute with in an input: where it looks something up by it, as quantized inputs with ranges by time step
 * do, one that the table knows; else 0.
 */
export function knownValue({ nodes, constants }: Graph, input: string): number {
  const same = new Set([input]);
  for (const { operator, inputs, outputs } of nodes) {
    const [first = "", second = ""] = inputs;
    if (PASSES.has(operator) && same.has(first)) for (const name of outputs) same.add(name);
    if (operator !== "Equal") continue;
    const table = same.has(first) ? constants.get(second) : same.has(second) ? constants.get(first) : undefined;
    if (table === undefined) continue;
    const [known] = noGrad(() => scope(() => constantTensor(table).reshape([-1]).toArray()));
    if (known !== undefined) return Number(known);
  }
  return 0;
}
