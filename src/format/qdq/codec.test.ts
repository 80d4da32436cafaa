import { describe, expect, it } from "vitest";
import { FormatError } from "../../errors.js";
import type { GraphLayer } from "../../network/index.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { encodeCodes, encodeScales, encodeZeroPoints } from "./encode.js";
import { layerForm, type SmallCodes } from "./layer-form.js";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

function layerOf(shape: readonly number[], stored: GraphLayer["stored"]): GraphLayer {
  const [rows = 1, columns = 1] =
    stored === "rows" ? [shape[0], product(shape.slice(1))] : [shape[1], product(shape) / (shape[1] ?? 1)];
  const plan = { name: "layer", module: "layer", rows, columns, bias: false, addsTo: null };
  return { plan, weight: "layer.weight", bias: null, stored, shape, groups: 1, node: undefined as never };
}

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

function weightOf(
  { plan: { rows, columns } }: GraphLayer,
  bits: number,
  { groupSize = columns, symmetric = true, codes = (i: number): number => i % 2 ** bits },
): QuantizedWeight {
  const groups = rows * (columns / groupSize);
  return {
    ...{ bits, groupSize, perChannel: groupSize === columns, symmetric, rows, columns },
    codes: Uint8Array.from({ length: rows * columns }, (_, i) => codes(i)),
    scales: Float32Array.from({ length: groups }, (_, i) => (i + 1) / 2),
    zeroPoints: Uint8Array.from({ length: groups }, (_, i) => (symmetric ? 2 ** (bits - 1) : i)),
  };
}

function stored(layer: GraphLayer, weight: QuantizedWeight, small: SmallCodes = "int4"): readonly string[] {
  const form = layerForm(layer, weight, small);
  return [hex(encodeCodes(weight, form)), hex(encodeScales(weight, form)), hex(encodeZeroPoints(weight, form))];
}

const half = "0000003f0000803f";

describe("a weight in QDQ", () => {
  it("has signed codes of 4 bits in pairs, the first in the low bits, where it is symmetric", () => {
    const layer = layerOf([2, 3, 1, 1], "rows");
    // -8 -7 -6 | -5 -4 -3
    expect(stored(layer, weightOf(layer, 4, {}))).toEqual(["98badc", half, "00"]);
    expect(stored(layer, weightOf(layer, 4, {}), "int8")).toEqual(["f8f9fafbfcfd", half, "0000"]);
    expect(layerForm(layer, weightOf(layer, 4, {}), "int4")).toMatchObject({
      type: "int4",
      axis: 0,
      blockSize: null,
      opset: 21,
    });
    expect(layerForm(layer, weightOf(layer, 4, {}), "int8")).toMatchObject({
      type: "int8",
      axis: 0,
      blockSize: null,
      opset: 13,
    });
  });

  it("has codes and zero points as they are where it is asymmetric", () => {
    const layer = layerOf([2, 3], "rows");
    expect(stored(layer, weightOf(layer, 4, { symmetric: false }))).toEqual(["103254", half, "10"]);
    expect(stored(layer, weightOf(layer, 8, { symmetric: false }))).toEqual(["000102030405", half, "0001"]);
  });

  it("has codes of 2 and 3 bits around zero in 4", () => {
    const layer = layerOf([1, 4], "rows");
    expect(stored(layer, weightOf(layer, 2, {}))[0]).toBe("fe10");
    expect(stored(layer, weightOf(layer, 3, {}))[0]).toBe("dcfe");
  });

  it("lies the way its node reads it: rows along the second axis of a MatMul and of a ConvTranspose", () => {
    const matrix = layerOf([3, 2], "columns");
    // Rows 0 1 2 and 3 4 5 side by side.
    expect(stored(matrix, weightOf(matrix, 8, { symmetric: false }))[0]).toBe("000301040205");
    expect(layerForm(matrix, weightOf(matrix, 8, {}), "int4")).toMatchObject({
      axis: 1,
      shape: [3, 2],
      scaleShape: [2],
    });
    const transposed = layerOf([2, 2, 2], "columns");
    // Row 0 has 0 1 of the first input and 2 3 of the second, row 1 has 4 5 and 6 7.
    expect(stored(transposed, weightOf(transposed, 8, { symmetric: false }))[0]).toBe("0001040502030607");
  });

  it("has blocks where columns lie along one axis", () => {
    const rows = layerOf([2, 4], "rows");
    const weight = weightOf(rows, 4, { groupSize: 2, symmetric: false });
    expect(layerForm(rows, weight, "int4")).toMatchObject({ axis: 1, blockSize: 2, scaleShape: [2, 2], reshape: null });
    expect(stored(rows, weight)[2]).toBe("1032");
    const columns = layerOf([4, 2], "columns");
    expect(layerForm(columns, weight, "int4")).toMatchObject({ axis: 0, blockSize: 2, scaleShape: [2, 2] });
    // Groups of the first row are 0 and 1, of the second 2 and 3: 0 2 | 1 3.
    expect(stored(columns, weight)[2]).toBe("2031");
    expect(layerForm(rows, weightOf(rows, 4, { groupSize: 2 }), "int4").zeroPoints).toBe(false);
  });

  it("is a matrix of groups, reshaped, where they do not, and where no version 21 is wanted", () => {
    const conv = layerOf([2, 2, 3, 1], "rows");
    const weight = weightOf(conv, 4, { groupSize: 3, symmetric: false });
    expect(layerForm(conv, weight, "int4")).toMatchObject({
      shape: [4, 3],
      axis: 0,
      scaleShape: [4],
      reshape: [2, 2, 3, 1],
      transposed: false,
    });
    const columns = layerOf([4, 2], "columns");
    expect(layerForm(columns, weightOf(columns, 8, { groupSize: 2 }), "int8")).toMatchObject({
      ...{ shape: [4, 2], axis: 0, reshape: [2, 4], transposed: true, opset: 13 },
    });
  });

  it("refuses groups of different bits, naming what holds them", () => {
    const layer = layerOf([2, 4], "rows");
    const form = (): unknown =>
      layerForm(layer, { ...weightOf(layer, 3, { groupSize: 2 }), groupBits: [2, 3] }, "int4");
    expect(form).toThrow(FormatError);
    expect(form).toThrow(/layer: QDQ has one width a Linear.*Next: use --recipe gptq --bits-budget/);
  });
});
