import { join } from "node:path";
import { expect, it } from "vitest";
import { OnnxContent } from "../../../checkpoint/onnx/onnx-content.js";
import { temporaryFolder } from "../../../checkpoint/testing/temporary-folder.js";
import { readGraph } from "../read-graph.js";
import { someFloats, type TestGraph, writeGraph } from "../testing/small-graph.js";
import { graphLayers } from "./layers.js";

function modules(graph: TestGraph): readonly string[] {
  using folder = temporaryFolder();
  const file = join(folder.path, "model.onnx");
  writeGraph(file, graph);
  using content = OnnxContent.open(file);
  return [...graphLayers(readGraph(content)).values()].map(({ plan }) => plan.module);
}

const inputs = { x: { shape: ["n", 4] } };
const w = someFloats([4, 4]);

it("names layers after their weights, nodes or values, each by a name of its own", () => {
  const nodes = [
    { operator: "MatMul", inputs: ["x", "a.weight"], name: "/first" },
    { operator: "MatMul", inputs: ["n0", "12"], name: "/second/MatMul" },
    { operator: "MatMul", inputs: ["n1", "13"], name: "" },
    { operator: "MatMul", inputs: ["n2", "14"], name: "a" },
  ];
  expect(modules({ nodes, constants: { "a.weight": w, 12: w, 13: w, 14: w }, inputs })).toEqual([
    "a",
    "second/MatMul",
    "MatMul:n2",
    "a.2",
  ]);
});

it("names none __proto__, which records in JSON can't hold", () => {
  const nodes = [{ operator: "MatMul", inputs: ["x", "w"], name: "__proto__" }];
  expect(modules({ nodes, constants: { w }, inputs })).toEqual(["__proto__.1"]);
});

it("leaves a weight without numbers alone", () => {
  const nodes = [
    { operator: "MatMul", inputs: ["x", "w"], name: "first" },
    { operator: "MatMul", inputs: ["n0", "none"], name: "last" },
  ];
  expect(modules({ nodes, constants: { w, none: someFloats([4, 0]) }, inputs })).toEqual(["first"]);
});
