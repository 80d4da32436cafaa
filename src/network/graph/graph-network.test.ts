import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { OnnxContent } from "../../checkpoint/onnx/onnx-content.js";
import { temporaryFolder } from "../../checkpoint/testing/temporary-folder.js";
import { ModelError } from "../../errors.js";
import { liveHandles, noGrad, scope, Tensor } from "../../tensor/index.js";
import { inputRows } from "../apply-linear.js";
import { GraphRunner } from "./compute/run-graph.js";
import type { Graph } from "./graph.js";
import { GraphNetwork } from "./graph-network.js";
import { readGraph } from "./read-graph.js";
import { integers, someFloats, someNumbers, type TestGraph, type TestNode, writeGraph } from "./testing/small-graph.js";
import { throughUnits } from "./testing/through-units.js";

const residual: TestGraph = {
  nodes: [
    { operator: "Conv", inputs: ["x", "stem.weight", "stem.bias"], outputs: ["a"], attributes: { pads: [1, 1, 1, 1] } },
    { operator: "Conv", inputs: ["a", "b.weight"], outputs: ["b"], attributes: { pads: [1, 1, 1, 1], group: 4 } },
    { operator: "Add", inputs: ["a", "b"], outputs: ["c"] },
    { operator: "Shape", inputs: ["c"], outputs: ["s"] },
    { operator: "Gather", inputs: ["s", "first"], outputs: ["n"] },
    { operator: "Concat", inputs: ["n", "rest"], outputs: ["flat"], attributes: { axis: 0 } },
    { operator: "Reshape", inputs: ["c", "flat"], outputs: ["rows"] },
    { operator: "Gemm", inputs: ["rows", "head.weight", "head.bias"], outputs: ["y"] },
  ],
  constants: {
    "stem.weight": someFloats([4, 2, 3, 3], 1),
    "stem.bias": someFloats([4], 2),
    "b.weight": someFloats([4, 1, 3, 3], 3),
    "head.weight": someFloats([80, 3], 4),
    "head.bias": someFloats([3], 5),
    first: integers([0]),
    rest: integers([-1]),
  },
  inputs: { x: { shape: ["n", 2, 5, 4] } },
};

function use(graph: TestGraph, body: (graph: Graph) => void): void {
  using folder = temporaryFolder();
  const file = join(folder.path, "model.onnx");
  writeGraph(file, graph);
  using content = OnnxContent.open(file);
  body(readGraph(content));
}

describe("a graph as a network of units", () => {
  it.each([1, 3])("computes in units what it computes as a whole, for %i examples", (count) => {
    const live = liveHandles();
    use(residual, (graph) => {
      using x = Tensor.from(Float32Array.from(someNumbers(count * 40)), [count, 2, 5, 4]);
      using whole = new GraphRunner(graph, { device: "cpu", dtype: "float32" });
      const wanted = whole.run({ x });
      const network = GraphNetwork.create(graph);
      const seen: string[] = [];
      const [actual, expected] = noGrad(() =>
        scope(() => {
          const { y } = throughUnits(network, { x }, { observe: (layer) => seen.push(layer) });
          return [y?.toArray(), wanted["y"]?.toArray()];
        }),
      );
      expect(actual).toEqual(expected);
      expect(seen).toEqual(["stem", "b", "head"]);
      for (const tensor of Object.values(wanted)) tensor.dispose();
    });
    expect(liveHandles()).toBe(live);
  });

  it("knows shapes between units, and lets a product be replaced", () => {
    use(residual, (graph) => {
      const network = GraphNetwork.create(graph);
      const ports = [0, 1, 2, 3].map((unit) => network.ports(1, unit));
      expect(ports).toEqual([{ x: [2, 5, 4] }, { a: [4, 5, 4] }, { rows: [80] }, { y: [3] }]);
      expect(
        network.units.map(({ layers }) => layers.map(({ module, rows, columns }) => [module, rows, columns])),
      ).toEqual([[["stem", 4, 18]], [["b", 4, 9]], [["head", 3, 80]]]);
      scope(() => {
        const x = Tensor.ones([2, 2, 5, 4]);
        const { y } = throughUnits(
          network,
          { x },
          { product: (layer, input) => (layer === "head" ? input.mul(0).narrow(1, 0, 3) : undefined) },
        );
        expect([...(y?.toFloat32Array() ?? [])]).toEqual([0, 0, 0, 0, 0, 0]);
      });
    });
  });

  it.each<readonly [string, readonly number[], TestNode["attributes"]]>([
    ["Conv", [3, 2, 3, 2], { pads: [1, 0, 1, 1], strides: [2, 1] }],
    ["ConvTranspose", [2, 3, 3, 2], { strides: [2, 1], pads: [1, 0, 0, 1], output_padding: [1, 0], dilations: [1, 2] }],
    ["ConvTranspose", [2, 3, 4, 4], { strides: [3, 2], pads: [1, 1, 1, 1] }],
  ])(
    "gives the rows of an input that the rows of a weight are multiplied with: %s %j",
    (operator, shape, attributes) => {
      const nodes = [{ operator, inputs: ["x", "w.weight"], attributes: attributes ?? {} }];
      use({ nodes, constants: { "w.weight": someFloats(shape, 3) }, inputs: residual.inputs }, (graph) => {
        const network = GraphNetwork.create(graph);
        scope(() => {
          const x = Tensor.from(Float32Array.from(someNumbers(2 * 2 * 5 * 4)), [2, 2, 5, 4]);
          const products: Tensor[] = [];
          const { y } = throughUnits(
            network,
            { x },
            {
              observe: (_, input, linear) => {
                products.push(inputRows(input, linear).matmul(linear.weight.transpose(0, 1)).transpose(1, 2));
              },
            },
          );
          const [product] = products;
          expect(
            product
              ?.reshape(y?.shape ?? [])
              .sub(y as Tensor)
              .abs()
              .amax()
              .item(),
          ).toBeLessThan(1e-5);
        });
      });
    },
  );

  it.each([
    [[4, 3, 3, 2], 2],
    [[4, 1, 3, 3], 4],
    [[4, 2, 2, 2], 4],
    [[4, 1, 2, 3], 2],
  ])("quantizes a ConvTranspose of groups by its output channels: weight %j, %i groups", (shape, group) => {
    const attributes = { group, strides: [2, 2], pads: [1, 0, 0, 1] };
    const nodes = [{ operator: "ConvTranspose", inputs: ["x", "w.weight"], attributes }];
    const inputs = { x: { shape: ["n", 4, 5, 4] } };
    use({ nodes, constants: { "w.weight": someFloats(shape, 3) }, inputs }, (graph) => {
      const network = GraphNetwork.create(graph);
      const outputs = group * (shape[1] ?? 0);
      const columns = someNumbers(shape.reduce((a, b) => a * b)).length / outputs;
      expect(network.units[0]?.layers).toMatchObject([{ rows: outputs, columns }]);
      scope(() => {
        const x = Tensor.from(Float32Array.from(someNumbers(2 * 4 * 5 * 4)), [2, 4, 5, 4]);
        const products: Tensor[] = [];
        const { y } = throughUnits(
          network,
          { x },
          {
            observe: (_, input, linear) => {
              const rows = inputRows(input, linear).reshape([2, group, -1, columns]);
              const weight = linear.weight.reshape([1, group, -1, columns]);
              products.push(rows.matmul(weight.transpose(2, 3)).transpose(2, 3));
            },
          },
        );
        const difference = products[0]?.reshape(y?.shape ?? []).sub(y as Tensor);
        expect(difference?.abs().amax().item()).toBeLessThan(1e-5);
      });
    });
  });

  it("asks for sizes that the file leaves open, and refuses a fixed batch", () => {
    use({ ...residual, inputs: { x: { shape: ["n", 2, "h", "w"] } } }, (graph) => {
      expect(() => GraphNetwork.create(graph)).toThrow(ModelError);
      expect(() => GraphNetwork.create(graph)).toThrow(/its sizes h, w are open.*Next: give images of one size/);
      expect(() => GraphNetwork.create(graph, { x: [3, 5, 4] })).toThrow(
        /an example of \[3, 5, 4\] where the file says \[2, h, w\]/,
      );
      expect(GraphNetwork.create(graph, { x: [2, 5, 4] }).units).toHaveLength(3);
    });
    const nodes = [{ operator: "Reshape", inputs: ["x", "one"] }];
    use({ nodes, constants: { one: integers([1, -1]) }, inputs: residual.inputs }, (graph) => {
      expect(() => GraphNetwork.create(graph)).toThrow(/"y" is \[1, 80\] for two examples.*dynamic_axes/);
    });
  });

  it("joins units between which a value has no place for each example", () => {
    const nodes = [
      { operator: "MatMul", inputs: ["x", "a.weight"], outputs: ["a"] },
      { operator: "Reshape", inputs: ["a", "heads"], outputs: ["folded"] },
      { operator: "MatMul", inputs: ["folded", "b.weight"], outputs: ["b"] },
      { operator: "Reshape", inputs: ["b", "back"], outputs: ["y"] },
    ];
    const constants = {
      "a.weight": someFloats([6, 8]),
      "b.weight": someFloats([4, 4]),
      heads: integers([-1, 3, 4]),
      back: integers([-1, 3, 8]),
    };
    use({ nodes, constants, inputs: { x: { shape: ["n", 3, 6] } } }, (graph) => {
      expect(GraphNetwork.create(graph).units.map(({ layers }) => layers.length)).toEqual([2]);
    });
  });
});
