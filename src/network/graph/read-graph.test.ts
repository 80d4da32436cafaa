import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { encodeMessage } from "../../checkpoint/onnx/encode-message.js";
import { OnnxContent } from "../../checkpoint/onnx/onnx-content.js";
import { MODEL } from "../../checkpoint/onnx/schema.js";
import { temporaryFolder } from "../../checkpoint/testing/temporary-folder.js";
import { ModelError } from "../../errors.js";
import { Tensor } from "../../tensor/index.js";
import { GraphRunner } from "./compute/run-graph.js";
import type { Graph } from "./graph.js";
import { readGraph } from "./read-graph.js";
import { floats, graphModel, integers, type TestGraph, writeGraph } from "./testing/small-graph.js";

function read(graph: TestGraph, use: (graph: Graph) => void = () => {}): void {
  using folder = temporaryFolder();
  const file = join(folder.path, "model.onnx");
  writeGraph(file, graph);
  using content = OnnxContent.open(file);
  use(readGraph(content));
}

const inputs = { x: { shape: ["n", 2] } };
const relu = { operator: "Relu", inputs: ["x"] };

describe("an ONNX graph", () => {
  it("has its nodes in an order in which they can be computed, and constants of every kind", () => {
    const nodes = [
      { operator: "Add", inputs: ["sum", "half"], outputs: ["y"] },
      { operator: "Add", inputs: ["x", "two"], outputs: ["sum"] },
      { operator: "Constant", inputs: [], outputs: ["half"], attributes: { value_float: { float: 0.5 } } },
      { operator: "Constant", inputs: [], outputs: ["two"], attributes: { value: floats([2, 3]) } },
    ];
    read({ nodes, inputs }, (graph) => {
      expect(graph.nodes.map(({ name }) => name)).toEqual(["Add:sum", "Add:y"]);
      expect(graph.inputs).toEqual([{ name: "x", dataType: "float32", shape: ["n", 2] }]);
      using runner = new GraphRunner(graph, { device: "cpu", dtype: "float32" });
      using x = Tensor.from(Float32Array.of(1, 2), [1, 2]);
      const { y } = runner.run({ x });
      expect([...(y?.toFloat32Array() ?? [])]).toEqual([3.5, 5.5]);
      y?.dispose();
    });
  });

  it("has the weight of a product as its node reads it, where a Transpose lies between that nobody else reads", () => {
    const turning = (name: string, outputs: TestGraph["outputs"] = { y: "float32" }): TestGraph => ({
      nodes: [
        { operator: "Transpose", inputs: ["w"], outputs: ["turned"], attributes: { perm: [1, 0] } },
        { operator: name, inputs: ["x", "turned"], outputs: ["y"] },
      ],
      constants: { w: floats([1, 2, 3, 4, 5, 6], [3, 2]) },
      ...{ inputs, outputs },
    });
    read(turning("MatMul"), (graph) => {
      expect(graph.nodes.map(({ operator, index, place }) => [operator, index, place])).toEqual([["MatMul", 0, 1]]);
      const { turned, ...others } = Object.fromEntries(graph.constants);
      expect(others).toEqual({});
      expect(turned?.shape).toEqual([2, 3]);
      expect([...new Float32Array(Uint8Array.from(turned?.bytes() ?? []).buffer)]).toEqual([1, 3, 5, 2, 4, 6]);
    });
    read(turning("MatMul", { y: "float32", turned: "float32" }), (graph) => expect(graph.nodes).toHaveLength(2));
    read(turning("Gemm"), (graph) => expect(graph.nodes).toHaveLength(2));
  });

  it("has constants in place of their copies, unless such a copy is what the graph gives", () => {
    const nodes = [
      { operator: "Identity", inputs: ["b"], outputs: ["copy"] },
      { operator: "Identity", inputs: ["copy"], outputs: ["again"] },
      { operator: "Add", inputs: ["x", "again"], outputs: ["y"] },
    ];
    const constants = { b: floats([1, 2]) };
    read({ nodes, constants, inputs }, (graph) => {
      expect(graph.nodes).toMatchObject([{ operator: "Add", index: 0, place: 2, inputs: ["x", "b"] }]);
    });
    read({ nodes, constants, inputs, outputs: { y: "float32", copy: "float32" } }, (graph) => {
      expect(graph.nodes.map(({ inputs }) => inputs)).toEqual([["b"], ["copy"], ["x", "again"]]);
    });
  });

  it("leaves a size open that some exporters write as -1 or 0, and has an input", () => {
    const shape = [-1, 2, 0] as const;
    read({ nodes: [relu], inputs: { x: { shape } } }, (graph) => {
      expect(graph.inputs).toEqual([{ name: "x", dataType: "float32", shape: [null, 2, null] }]);
    });
    const nodes = [{ operator: "Relu", inputs: ["c"] }];
    expect(() => read({ nodes, constants: { c: floats([1]) }, inputs: {} })).toThrow(/no inputs.*Next: export it with/);
  });

  it("is refused where it calls functions that the file defines, with what writes it without them", () => {
    using folder = temporaryFolder();
    const file = join(folder.path, "model.onnx");
    const model = graphModel({ nodes: [{ ...relu, name: "call" }], inputs });
    const calls = (model.graph?.nodes ?? []).map((node) => ({ ...node, domain: "local" }));
    const own = { ...model, graph: { ...model.graph, nodes: calls }, functions: [Uint8Array.of(10, 1, 65)] };
    const sets = [...(model.operatorSets ?? []), { domain: "local", version: 1 }];
    writeFileSync(file, encodeMessage(MODEL, { ...own, operatorSets: sets }));
    using content = OnnxContent.open(file);
    expect(() => readGraph(content)).toThrow(
      /node "call" \(local\.Relu\): it calls a function that the file defines.*Next: .*inline_local_functions/,
    );
  });

  it.each([7, 24])("may have operators of version %i", (opset) => {
    read({ opset, nodes: [relu], inputs }, (graph) => expect(graph.opset).toBe(opset));
  });

  it("does not count initializers among its inputs", () => {
    const graph = { nodes: [{ operator: "Mul", inputs: ["x", "w"] }], constants: { w: floats([1, 2]) } };
    read({ ...graph, inputs: { ...inputs, w: { shape: [2] } } }, (found) => {
      expect(found.inputs.map(({ name }) => name)).toEqual(["x"]);
    });
  });

  it.each([
    [
      "an unknown operator",
      { nodes: [relu, { operator: "Loop", name: "body", inputs: ["n0"] }] },
      /node "body" \(Loop\).*does not compute the operator Loop/,
    ],
    [
      "several",
      {
        nodes: [
          { operator: "GRU", inputs: ["x"] },
          { operator: "LSTM", inputs: ["n0"] },
        ],
      },
      /operator GRU, nor LSTM/,
    ],
    ["an old version", { opset: 6, nodes: [relu] }, /operators of version 6/],
    ["a new version", { opset: 30, nodes: [relu] }, /operators of version 30.*onnx\.version_converter/],
    ["a value that nothing makes", { nodes: [{ operator: "Add", inputs: ["x", "z"] }] }, /nothing makes the value "z"/],
    [
      "a circle",
      {
        nodes: [
          { operator: "Add", inputs: ["x", "y"], outputs: ["a"] },
          { operator: "Relu", inputs: ["a"] },
        ],
      },
      /its own result/,
    ],
    ["a value that is made twice", { nodes: [{ ...relu, outputs: ["y"] }, relu] }, /"y" is made twice/],
    [
      "nodes of one name",
      {
        nodes: [
          { ...relu, name: "w", outputs: ["a"] },
          { operator: "Relu", name: "w", inputs: ["a"] },
        ],
      },
      /two of its nodes are called "w"/,
    ],
    ["an output that nothing computes", { nodes: [{ ...relu, outputs: ["z"] }] }, /nothing computes its output "y"/],
    ["no output", { nodes: [relu], outputs: {} }, /no outputs/],
    [
      "a norm in training",
      {
        nodes: [
          { operator: "BatchNormalization", inputs: ["x", "x", "x", "x", "x"], attributes: { training_mode: 1 } },
        ],
      },
      /training_mode = 1/,
    ],
    ["a second output", { nodes: [{ operator: "Dropout", inputs: ["x"], outputs: ["y", "mask"] }] }, /output "mask"/],
    [
      "an antialiased Resize",
      { nodes: [{ operator: "Resize", inputs: ["x"], attributes: { antialias: 1 } }] },
      /antialias = 1/,
    ],
    [
      "coordinates of another kind",
      {
        nodes: [
          { operator: "Resize", inputs: ["x"], attributes: { coordinate_transformation_mode: "tf_crop_and_resize" } },
        ],
      },
      /"tf_crop_and_resize".*Next: export the network with one of half_pixel/,
    ],
    [
      "an attribute of another kind",
      { nodes: [{ operator: "Resize", inputs: ["x"], attributes: { antialias: "yes" } }] },
      /"antialias" is not an integer/,
    ],
    [
      "a constant of text",
      { nodes: [{ operator: "Constant", inputs: [], attributes: { value_string: "a" } }] },
      /constant of the kind value_string/,
    ],
  ] satisfies [string, Omit<TestGraph, "inputs">, RegExp][])(
    "is refused with the next action: %s",
    (_, graph, message) => {
      expect(() => read({ ...graph, inputs })).toThrow(ModelError);
      expect(() => read({ ...graph, inputs })).toThrow(message);
      expect(() => read({ ...graph, inputs })).toThrow(/Next: /);
    },
  );

  it.each([
    [
      "sizes that do not fit",
      {
        nodes: [{ operator: "MatMul", inputs: ["x", "w"], name: "head" }],
        constants: { w: floats([1, 2, 3], [3, 1]) },
      },
      /node "head" \(MatMul\) on cpu: it can't be computed of its inputs/,
    ],
    [
      "an axis that is not there",
      { nodes: [{ operator: "Softmax", inputs: ["x"], attributes: { axis: 5 } }] },
      /axis 5 of a tensor of 2/,
    ],
    [
      "a size that no memory holds",
      { nodes: [{ operator: "Expand", inputs: ["x", "s"] }], constants: { s: integers([2 ** 40, 1, 1]) } },
      /a tensor of shape \[1099511627776/,
    ],
  ] satisfies [string, Omit<TestGraph, "inputs">, RegExp][])(
    "says which node can't be computed: %s",
    (_, graph, message) => {
      read({ ...graph, inputs }, (found) => {
        using runner = new GraphRunner(found, { device: "cpu", dtype: "float32" });
        using x = Tensor.from(Float32Array.of(1, 2), [1, 2]);
        expect(() => runner.run({ x })).toThrow(message);
        expect(() => runner.run({ x })).toThrow(ModelError);
        expect(() => runner.run({})).toThrow(/nothing is given for its input "x".*Next: give "x"/);
      });
    },
  );
});
