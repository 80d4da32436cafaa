import { DATA_TYPES, type DataType, type OnnxTensor } from "../../src/checkpoint/onnx/schema.js";
import { floats, someFloats } from "../../src/network/graph/testing/small-graph.js";
import { chain, IMAGE, type OperatorCase, one } from "./operator-cases.js";

/** Integers as a file has them, byte by byte. */
const stored = (dataType: DataType, bytes: readonly number[], shape: readonly number[]): OnnxTensor => ({
  shape,
  dataType: DATA_TYPES[dataType],
  rawData: Uint8Array.from(bytes),
});

/** Bytes that look random. */
const bytes = (count: number, seed: number): readonly number[] =>
  Array.from({ length: count }, (_, i) => (37 * seed * (i + 1) + ((i * i) % 29)) % 256);

/** Integers in place of floats, and back. */
export const quantizationCases: readonly OperatorCase[] = [
  one("QuantizeLinear", {}, { s: floats([0.01], []), z: stored("uint8", [100], []) }, IMAGE, {
    outputs: { y: "uint8" },
  }),
  one("QuantizeLinear", {}, { s: floats([0.02, 0.01, 0.005, 0.1]) }, IMAGE, { opset: 13, outputs: { y: "uint8" } }),
  one("QuantizeLinear", { output_dtype: 3 }, { s: floats([0.01], []) }, IMAGE, { opset: 21, outputs: { y: "int8" } }),
  chain(
    "integers and back: uint8, int8 along an axis, uint4",
    [
      { operator: "QuantizeLinear", inputs: ["x", "s", "z"] },
      { operator: "DequantizeLinear", inputs: ["n0", "s", "z"] },
      { operator: "QuantizeLinear", inputs: ["n1", "axis", "zeros"], attributes: { axis: -3 } },
      { operator: "DequantizeLinear", inputs: ["n2", "axis", "zeros"], attributes: { axis: 1 } },
      { operator: "QuantizeLinear", inputs: ["n3", "wide", "four"] },
      { operator: "DequantizeLinear", inputs: ["n4", "wide", "four"] },
    ],
    {
      ...{ s: floats([0.008], []), z: stored("uint8", [120], []), axis: floats([0.01, 0.02, 0.03, 0.04]) },
      ...{ zeros: stored("int8", [0, 5, 250, 0], [4]), wide: floats([0.1], []), four: stored("uint4", [9], []) },
    },
    { opset: 21 },
  ),
  chain(
    "stored integers of 4 bits: by blocks, and along an axis",
    [
      { operator: "DequantizeLinear", inputs: ["blocks", "bs", "bz"], attributes: { axis: 0, block_size: 4 } },
      { operator: "Add", inputs: ["x", "n0"] },
      { operator: "DequantizeLinear", inputs: ["slices", "ss"], attributes: { axis: 1 } },
      { operator: "Mul", inputs: ["n1", "n2"] },
    ],
    {
      ...{
        blocks: stored("uint4", bytes(21, 7), [7, 6]),
        bs: someFloats([2, 6], 5),
        bz: stored("uint4", bytes(6, 5), [2, 6]),
      },
      ...{ slices: stored("int4", bytes(21, 11), [7, 6]), ss: floats([0.5, -2, 1, 0.25, 3, -1]) },
    },
    { opset: 21 },
  ),
];
