import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { OnnxContent } from "../../../checkpoint/onnx/onnx-content.js";
import { temporaryFolder } from "../../../checkpoint/testing/temporary-folder.js";
import { readGraph } from "../read-graph.js";
import { floats, integers, someFloats, type TestGraph, type TestNode, writeGraph } from "../testing/small-graph.js";
import { cutGraph } from "./graph-units.js";

const op = (operator: string, to: string, ...inputs: string[]): TestNode => ({ operator, inputs, outputs: [to] });
const conv = (from: string, to: string, kernel: 1 | 3, more: Readonly<Record<string, number[]>> = {}): TestNode => ({
  ...op("Conv", to, from, `${to}.weight`),
  attributes: { pads: Array(4).fill(kernel === 3 ? 1 : 0), ...more },
});

/** Blocks of all kinds; with `time`, one of them is told a time step. */
function graphOf(time: boolean): TestGraph {
  const kernels: Record<string, 1 | 3> = { in: 3, a1: 3, a2: 1, down: 3, qkv: 1, out: 1, b1: 3, wide: 1, y: 3 };
  const layer = (from: string, to: string, more?: Readonly<Record<string, number[]>>): TestNode =>
    conv(from, to, kernels[to] ?? 3, more);
  return {
    nodes: [
      ...(time
        ? [
            op("Gemm", "e1", "t", "e1.w"),
            op("Relu", "e2", "e1"),
            op("Gemm", "e3", "e2", "e3.w"),
            op("Unsqueeze", "p", "e3", "axes"),
          ]
        : []),
      layer("x", "in"),
      // The last convolution of a branch is no shortcut, though it is 1 x 1 and added.
      layer("in", "a1"),
      op(time ? "Add" : "Mul", "a3", "a1", time ? "p" : "half"),
      layer("a3", "a2"),
      op("Add", "a", "a2", "in"),
      layer("a", "down", { strides: [2, 2] }),
      // Neither is what mixes the heads of an attention.
      op("Relu", "n", "down"),
      layer("n", "qkv"),
      op("MatMul", "scores", "qkv", "qkv"),
      layer("scores", "out"),
      op("Add", "m", "out", "down"),
      // A shortcut behind a change of size, as in up and down blocks.
      op("Relu", "r", "m"),
      { operator: "Resize", inputs: ["r", "", "sizes"], outputs: ["up1"], attributes: { mode: "nearest" } },
      layer("up1", "b1"),
      { operator: "Resize", inputs: ["m", "", "sizes"], outputs: ["up2"], attributes: { mode: "nearest" } },
      layer("up2", "wide"),
      op("Add", "b", "b1", "wide"),
      op("Relu", "c", "b"),
      layer("c", "d"),
      op("Relu", "e", "d"),
      layer("e", "y"),
      ...(time ? [op("Mul", "result", "y", "p")] : [op("Mul", "result", "y", "half")]),
    ],
    constants: {
      half: floats([0.5], []),
      axes: integers([2, 3]),
      sizes: floats([1, 1, 2, 2]),
      "e1.w": someFloats([1, 8], 1),
      "e3.w": someFloats([8, 4], 2),
      ...Object.fromEntries(
        ["in", "a1", "a2", "down", "qkv", "out", "b1", "wide", "d", "y"].map((name, i) => {
          const size = kernels[name] ?? 3;
          return [`${name}.weight`, someFloats([4, 4, size, size], i + 3)];
        }),
      ),
    },
    inputs: { x: { shape: ["n", 4, 6, 6] }, ...(time && { t: { shape: ["n", 1] } }) },
    outputs: { result: "float32" },
  };
}

function protectedIn(graph: TestGraph): Record<string, string> {
  using folder = temporaryFolder();
  const file = join(folder.path, "model.onnx");
  writeGraph(file, graph);
  using content = OnnxContent.open(file);
  const layers = cutGraph(readGraph(content)).units.flatMap(({ plan }) => plan.layers);
  return Object.fromEntries(
    layers.flatMap(({ module, protectedAs }) => (protectedAs === undefined ? [] : [[module, protectedAs]])),
  );
}

describe("layers that stay in full precision", () => {
  it("are those of a network with a time input on which everything depends, found without names", () => {
    const { "e1.w": _, ...found } = protectedIn(graphOf(true));
    expect(Object.values(protectedIn(graphOf(true)))).toContain("first layer of a time embedding");
    expect(
      Object.values(found)
        .filter((reason) => reason !== "first layer of a time embedding")
        .sort(),
    ).toEqual(["downsampling convolution", "first layer", "last layer", "shortcut beside a block"].sort());
    expect(found).toMatchObject({
      in: "first layer",
      down: "downsampling convolution",
      wide: "shortcut beside a block",
      y: "last layer",
    });
  });

  it("are none of other networks", () => {
    expect(protectedIn(graphOf(false))).toEqual({});
  });
});
