import type { Graph } from "../../network/index.js";

/** What the numbers of a network's output are: scores of classes, their probabilities, or anything else. */
export type OutputKind = "logits" | "probabilities" | "values";

/**
 * What a graph's output is, by its shape and what makes it: a row of two or more numbers an example are classes.
 *
 * @param shape of one example
 */
export function outputKind({ nodes, outputs }: Graph, shape: readonly number[]): OutputKind {
  const wide = shape.filter((size) => size !== 1);
  if (wide.length !== 1) return "values";
  const makers = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  let maker = makers.get(outputs[0]?.name ?? "");
  while (maker !== undefined && passes.has(maker.operator)) maker = makers.get(maker.inputs[0] ?? "");
  return maker?.operator === "Softmax" ? "probabilities" : "logits";
}

/** Operators that change a shape and no value. */
const passes: ReadonlySet<string> = new Set(["Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast"]);
