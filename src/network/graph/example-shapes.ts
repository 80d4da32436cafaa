import { OpenGraph } from "./compute/open-graph.js";
import type { CutGraph } from "./units/graph-units.js";

/**
 * Shapes of the values of a graph that have a place for each example, without that first dimension, found by computing zeros; null where
 * the file leaves sizes of its inputs open.
 */
export function exampleShapes(cut: CutGraph): ReadonlyMap<string, readonly number[]> | null {
  const inputs: Record<string, readonly number[]> = {};
  for (const { name, shape } of cut.graph.inputs) {
    const sizes = (shape ?? []).slice(1).filter((size) => typeof size === "number");
    if (shape === null || sizes.length < shape.length - 1) return null;
    inputs[name] = sizes;
  }
  using open = new OpenGraph(cut, inputs, { device: "cpu", dtype: "float32" });
  const [one, two] = [open.shapesAt(1), open.shapesAt(2)];
  const shapes = new Map<string, readonly number[]>();
  for (const [name, shape] of one) {
    const other = two.get(name) ?? [];
    const scales = shape[0] === 1 && other[0] === 2 && shape.slice(1).join() === other.slice(1).join();
    if (scales) shapes.set(name, shape.slice(1));
  }
  return shapes;
}
