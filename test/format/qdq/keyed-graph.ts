import { someFloats, type TestGraph } from "../../../src/network/graph/testing/small-graph.js";

/**
 * Two products, between which a time input takes part.
 *
 * @param width of the input, or a text where the file leaves it open: then it is not known which values have a place for each example
 */
export const keyedGraph = (steps: "float32" | "int64", width: number | string): TestGraph => ({
  nodes: [
    { operator: "MatMul", inputs: ["x", "first.weight"], outputs: ["a"] },
    { operator: "Relu", inputs: ["a"], outputs: ["b"] },
    { operator: "Cast", inputs: ["t"], outputs: ["step"], attributes: { to: 1 } },
    { operator: "Reshape", inputs: ["step", "column"], outputs: ["condition"] },
    { operator: "Mul", inputs: ["b", "condition"], outputs: ["c"] },
    { operator: "MatMul", inputs: ["c", "second.weight"], outputs: ["y"] },
  ],
  constants: {
    "first.weight": someFloats([6, 8], 1),
    "second.weight": someFloats([8, 4], 2),
    column: { shape: [2], dataType: 7, rawData: new Uint8Array(BigInt64Array.of(-1n, 1n).buffer) },
  },
  inputs: { x: { shape: ["n", width] }, t: { dataType: steps, shape: ["n"] } },
});
