import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { OnnxContent } from "../../checkpoint/onnx/onnx-content.js";
import { temporaryFolder } from "../../checkpoint/testing/temporary-folder.js";
import { GraphRunner } from "../../network/graph/compute/run-graph.js";
import { floats, someFloats, someNumbers, type TestNode, writeGraph } from "../../network/graph/testing/small-graph.js";
import { cutGraph, type Graph, readGraph } from "../../network/index.js";
import { Tensor } from "../../tensor/index.js";
import { type FoldedGraph, foldBatchNorms } from "./fold-batch-norm.js";

const norm = (from: string, to: string): TestNode => ({
  operator: "BatchNormalization",
  inputs: [from, "gain", "shift", "mean", "variance"],
  outputs: [to],
  name: `norm ${to}`,
  attributes: { epsilon: { float: 1e-3 } },
});
const conv = (from: string, to: string, weight: string, ...bias: string[]): TestNode => ({
  operator: "Conv",
  inputs: [from, weight, ...bias],
  outputs: [to],
  attributes: { pads: [1, 1, 1, 1] },
});
const constants = {
  "a.weight": someFloats([4, 4, 3, 3], 1),
  "a.bias": someFloats([4], 2),
  "b.weight": someFloats([4, 4, 3, 3], 3),
  "c.weight": someFloats([4, 4, 1, 1], 4),
  gain: someFloats([4], 5),
  shift: someFloats([4], 6),
  mean: someFloats([4], 7),
  variance: floats([0.5, 2, 0.1, 1]),
};

function outputs(graph: Graph): Float32Array {
  using runner = new GraphRunner(graph, { device: "cpu", dtype: "float32" });
  using x = Tensor.from(Float32Array.from(someNumbers(2 * 4 * 5 * 5)), [2, 4, 5, 5]);
  const [y] = Object.values(runner.run({ x }));
  const values = y?.toFloat32Array() ?? new Float32Array(0);
  y?.dispose();
  return values;
}

function folded(nodes: readonly TestNode[], use: (before: Graph, after: FoldedGraph) => void): void {
  using folder = temporaryFolder();
  const file = join(folder.path, "model.onnx");
  writeGraph(file, { nodes, constants, inputs: { x: { shape: ["n", 4, 5, 5] } } });
  using content = OnnxContent.open(file);
  const graph = readGraph(content);
  use(graph, foldBatchNorms(graph));
}

describe("folding of batch norms", () => {
  it("moves a norm into the convolution before it, with and without a bias, and changes no result", () => {
    const nodes = [
      conv("x", "a", "a.weight", "a.bias"),
      norm("a", "an"),
      { operator: "Relu", inputs: ["an"], outputs: ["ar"] },
      conv("ar", "b", "b.weight"),
      norm("b", "y"),
    ];
    folded(nodes, (before, after) => {
      expect(after.folded).toEqual(["norm an", "norm y"]);
      expect(after.kept).toEqual([]);
      expect(after.graph.nodes.map(({ operator, index }) => `${operator} ${index}`)).toEqual([
        "Conv 0",
        "Relu 1",
        "Conv 2",
      ]);
      expect(after.graph.constants.has("gain")).toBe(false);
      const [expected, actual] = [outputs(before), outputs(after.graph)];
      for (const [i, value] of expected.entries()) expect(actual[i]).toBeCloseTo(value, 4);
      expect(cutGraph(after.graph).units.flatMap(({ plan }) => plan.layers.map(({ bias }) => bias))).toEqual([
        true,
        true,
      ]);
    });
  });

  it("leaves a norm where it is behind an activation, and where others read the convolution", () => {
    const nodes = [
      conv("x", "a", "a.weight"),
      { operator: "Relu", inputs: ["a"], outputs: ["ar"] },
      norm("ar", "an"),
      conv("an", "b", "b.weight"),
      norm("b", "bn"),
      { operator: "Add", inputs: ["b", "bn"], outputs: ["sum"] },
      conv("sum", "c", "c.weight"),
      norm("c", "cn"),
      conv("cn", "y", "c.weight"),
    ];
    folded(nodes, (before, after) => {
      expect(after.folded).toEqual([]);
      expect(after.kept).toEqual(["norm an", "norm bn", "norm cn"]);
      expect(outputs(after.graph)).toEqual(outputs(before));
    });
  });
});
