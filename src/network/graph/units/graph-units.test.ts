import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { OnnxContent } from "../../../checkpoint/onnx/onnx-content.js";
import { temporaryFolder } from "../../../checkpoint/testing/temporary-folder.js";
import { readGraph } from "../read-graph.js";
import { floats, integers, someFloats, type TestGraph, type TestNode, writeGraph } from "../testing/small-graph.js";
import { cutGraph, type GraphUnit } from "./graph-units.js";

function cut(graph: TestGraph): readonly GraphUnit[] {
  using folder = temporaryFolder();
  const file = join(folder.path, "model.onnx");
  writeGraph(file, graph);
  using content = OnnxContent.open(file);
  return cutGraph(readGraph(content)).units;
}

function facts(units: readonly GraphUnit[]): readonly string[] {
  return units.map(
    ({ kind, nodes, reads }) => `${kind} (${reads.join(", ")}): ${nodes.map(({ outputs }) => outputs[0]).join(" ")}`,
  );
}

const conv = (from: string, to: string): TestNode => ({
  operator: "Conv",
  inputs: [from, `${to}.weight`],
  outputs: [to],
  attributes: { pads: [1, 1, 1, 1] },
});
const weights = (...names: string[]): NonNullable<TestGraph["constants"]> =>
  Object.fromEntries(names.map((name, i) => [`${name}.weight`, someFloats([4, 4, 3, 3], i)]));
const image = { x: { shape: ["n", 4, 6, 6] } };
const op = (operator: string, to: string, ...from: string[]): TestNode => ({ operator, inputs: from, outputs: [to] });

describe("a graph cut into units", () => {
  it("has residual blocks with what follows them, and single layers", () => {
    const nodes = [
      conv("x", "stem"),
      op("Relu", "a", "stem"),
      conv("a", "b1"),
      op("Relu", "b2", "b1"),
      conv("b2", "b3"),
      op("Add", "b4", "b3", "a"),
      op("Relu", "b", "b4"),
      conv("b", "c1"),
      op("Sigmoid", "c2", "c1"),
      op("Mul", "c3", "c1", "c2"),
      conv("c3", "c4"),
      conv("b", "c5"),
      op("Add", "c", "c4", "c5"),
      op("GlobalAveragePool", "p", "c"),
      conv("p", "y"),
    ];
    const constants = weights("stem", "b1", "b3", "c1", "c4", "c5", "y");
    expect(facts(cut({ nodes, constants, inputs: image }))).toEqual([
      "layer (x): stem a",
      "residual (a): b1 b2 b3 b4 b",
      "residual (b): c1 c2 c3 c4 c5 c p",
      "layer (p): y",
    ]);
  });

  it("has attention with the residual around it as one block, and plans its products as Linears", () => {
    const nodes = [
      op("MatMul", "q", "x", "wq"),
      op("MatMul", "k", "x", "wk"),
      op("MatMul", "v", "x", "wv"),
      op("Transpose", "t", "k"),
      op("MatMul", "scores", "q", "t"),
      op("Softmax", "p", "scores"),
      op("MatMul", "mixed", "p", "v"),
      op("MatMul", "o", "mixed", "wo"),
      op("Add", "y", "x", "o"),
    ];
    const nodes2 = nodes.map((node) =>
      node.operator === "Transpose" ? { ...node, attributes: { perm: [0, 2, 1] } } : node,
    );
    const constants = Object.fromEntries(["wq", "wk", "wv", "wo"].map((name, i) => [name, someFloats([4, 4], i)]));
    const [unit, ...others] = cut({ nodes: nodes2, constants, inputs: { x: { shape: ["n", 3, 4] } } });
    expect(others).toEqual([]);
    expect(unit?.kind).toBe("attention");
    expect(unit?.plan.layers.map(({ rows, columns, bias }) => [rows, columns, bias])).toEqual(
      Array(4).fill([4, 4, false]),
    );
  });

  it("has what follows from a time step alone as one unit, and long paths as ports", () => {
    const nodes = [
      op("Mul", "scaled", "t", "two"),
      op("Gemm", "e", "scaled", "we"),
      op("Relu", "emb", "e"),
      op("Gemm", "g1", "emb", "w1"),
      op("Gemm", "g2", "emb", "w2"),
      op("Unsqueeze", "p1", "g1", "axes"),
      op("Unsqueeze", "p2", "g2", "axes"),
      conv("x", "in"),
      conv("in", "d1"),
      op("Add", "d2", "d1", "p1"),
      conv("d2", "d3"),
      op("Add", "d", "d3", "in"),
      conv("d", "m1"),
      op("Add", "m2", "m1", "p2"),
      conv("m2", "m3"),
      op("Add", "m", "m3", "d"),
      op("Concat", "cat", "m", "in"),
      op("Add", "y0", "cat", "half"),
      op("Shape", "s", "y0"),
      op("Reshape", "y", "y0", "s"),
    ].map((node) => (node.operator === "Concat" ? { ...node, attributes: { axis: 1 } } : node));
    const gemm = (shape: number[]): ReturnType<typeof someFloats> => someFloats(shape, 9);
    const constants = {
      ...weights("in", "d1", "d3", "m1", "m3"),
      two: floats([2], []),
      half: floats([0.5], []),
      axes: integers([2, 3]),
      we: gemm([1, 8]),
      w1: gemm([8, 4]),
      w2: gemm([8, 4]),
    };
    expect(facts(cut({ nodes, constants, inputs: { ...image, t: { shape: ["n", 1] } } }))).toEqual([
      "condition (t): scaled e emb g1 g2 p1 p2",
      "layer (x): in",
      "residual (in, p1): d1 d2 d3 d",
      "residual (d, p2, in): m1 m2 m3 m cat y0 y",
    ]);
  });

  it("leaves a weight that two nodes share to nobody", () => {
    const nodes = [conv("x", "a"), { ...conv("a", "y"), inputs: ["a", "a.weight"] }];
    const [unit] = cut({ nodes, constants: weights("a"), inputs: image });
    expect(unit?.layers).toEqual([]);
  });

  it("says of a layer whose bias others read, and what a bias is stored in", () => {
    const biased = (from: string, to: string, bias: string): TestNode => ({
      ...conv(from, to),
      inputs: [from, `${to}.weight`, bias],
    });
    const half = { shape: [4], dataType: 10, rawData: new Uint8Array(8) };
    const units = cut({
      nodes: [biased("x", "a", "both"), biased("a", "b", "both"), biased("b", "c", "own"), biased("c", "y", "half")],
      constants: { ...weights("a", "b", "c", "y"), both: someFloats([4], 1), own: someFloats([4], 2), half },
      inputs: image,
    });
    const told = units.flatMap(({ layers }) => layers).map(({ plan }) => [plan.sharesBias, plan.biasType]);
    expect(told).toEqual([
      [true, undefined],
      [true, undefined],
      [undefined, undefined],
      [undefined, "float16"],
    ]);
  });
});
