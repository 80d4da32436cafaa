import { floats, integers, someFloats } from "../../src/network/graph/testing/small-graph.js";
import { chain, IMAGE, type OperatorCase, one } from "./operator-cases.js";

const places = integers([0, -1, 1, 2, 0, 3], [1, 1, 1, 6]);

/** Elements at places that a tensor tells, sums along an axis, and what is made of neighbouring channels. */
export const selectionCases: readonly OperatorCase[] = [
  one("ArgMin", { axis: 1 }, {}, IMAGE, { outputs: { y: "int64" } }),
  one("ReduceLogSum", { axes: [1, 2] }, {}, [2, 3, 4], { opset: 13 }),
  one("CumSum", {}, { axis: integers([2], []) }),
  one("CumSum", { exclusive: 1 }, { axis: integers([-1], []) }),
  one("CumSum", { reverse: 1, exclusive: 1 }, { axis: integers([1], []) }),
  one("CumSum", { reverse: 1 }, { axis: integers([1], []) }),
  one("LRN", { size: 3, alpha: { float: 0.3 }, beta: { float: 0.6 }, bias: { float: 1.5 } }),
  one("LpNormalization", { p: 1, axis: 1 }),
  one("Celu", { alpha: { float: 0.4 } }),
  one("Selu", { alpha: { float: 1.2 }, gamma: { float: 0.9 } }),
  one("ThresholdedRelu", { alpha: { float: 0.2 } }),
  chain(
    "Xor",
    [
      { operator: "Greater", inputs: ["x", "zero"] },
      { operator: "Less", inputs: ["x", "half"] },
      { operator: "Xor", inputs: ["n0", "n1"] },
    ],
    { zero: floats([0], []), half: floats([0.5], []) },
    { outputs: { y: "bool" } },
  ),
  one("Gather", { axis: 2 }, { at: integers([0, -1, 3, 3], [2, 2]) }),
  one("Gather", { axis: 1 }, { at: integers([-2], []) }),
  one("Trilu", { upper: 0 }, { k: integers([1], []) }),
  one("Trilu"),
  one("GatherElements", { axis: 1 }, { at: places }),
  one("GatherElements", { axis: -1 }, { at: integers([0, -1, 5, 2], [2, 1, 1, 2]) }),
  one("GatherND", {}, { at: integers([0, 1, 1, -1], [2, 2]) }),
  one("GatherND", {}, { at: integers([1, -1, 0, 2, 0, 3, 6, 5], [2, 1, 4]) }),
  one("ScatterElements", { axis: 1 }, { at: places, updates: someFloats([1, 1, 1, 6], 8) }),
  one(
    "ScatterElements",
    { axis: 2, reduction: "add" },
    { at: integers([1, 1], [1, 1, 2, 1]), u: floats([3, 4], [1, 1, 2, 1]) },
    IMAGE,
    {
      opset: 16,
    },
  ),
  one("ScatterND", {}, { at: integers([0, 1, 1, -1], [2, 2]), updates: someFloats([2, 7, 6], 8) }),
  one(
    "ScatterND",
    { reduction: "add" },
    { at: integers([1, 1], [2, 1]), updates: someFloats([2, 4, 7, 6], 8) },
    IMAGE,
    {
      opset: 16,
    },
  ),
  chain(
    "TopK, the largest in order, and the smallest of an axis",
    [
      { operator: "TopK", inputs: ["x", "three"], outputs: ["values", "at"] },
      { operator: "TopK", inputs: ["x", "two"], outputs: ["least", "where"], attributes: { axis: 1, largest: 0 } },
    ],
    { three: integers([3]), two: integers([2]) },
    { outputs: { values: "float32", at: "int64", least: "float32", where: "int64" } },
  ),
  ...["bilinear", "nearest", "bicubic"].flatMap((mode) =>
    ["zeros", "border", "reflection"].map((padding_mode, i) =>
      one("GridSample", { mode, padding_mode, align_corners: i % 2 }, { grid: someFloats([2, 3, 5, 2], 9) }, IMAGE, {
        opset: 16,
      }),
    ),
  ),
  one("GridSample", { mode: "linear" }, { grid: someFloats([2, 3, 5, 2], 9) }, IMAGE, { opset: 20 }),
];
