import type { DataType } from "../../checkpoint/onnx/schema.js";
import type { GraphLayer } from "../../network/index.js";
import { assertOneWidth } from "../contract/assert-one-width.js";
import type { QuantizedLayout } from "../contract/export-source.js";

/** Integers that DequantizeLinear takes. */
export type IntegerType = Extract<DataType, "int4" | "uint4" | "int8" | "uint8">;

/** The integers that codes of 4 bits and fewer are stored in. */
export type SmallCodes = "int4" | "int8";

/**
 * How the weight of a layer lies in a file, and what brings it back into the shape that its node reads:
 * DequantizeLinear, then Reshape and a Transpose of the first two axes where they are needed; within each group of a
 * ConvTranspose, a Transpose of the second and the third, and a Reshape that joins the groups.
 */
export interface LayerForm {
  readonly type: IntegerType;
  /** What is stored of a code is `code - shift`, and of a zero point too. */
  readonly shift: number;
  /** Of the stored integers. */
  readonly shape: readonly number[];
  /** `rows`: `[out, ...columns]`. `columns`: `[in, out, ...kernel]`, where a row's columns are `in * kernel`. */
  readonly order: "rows" | "columns";
  readonly axis: number;
  /** Numbers along the axis that share a scale; null where every slice of the axis has its own. */
  readonly blockSize: number | null;
  /** Of scales and zero points; `[groups, out]` where the order is `columns` and there are blocks, else out first. */
  readonly scaleShape: readonly number[];
  /** Whether zero points are stored. Slices always have them, because some runtimes look for three inputs. */
  readonly zeroPoints: boolean;
  readonly reshape: readonly number[] | null;
  readonly transposed: boolean;
  /** What joins the groups in the end; null for a weight of one. */
  readonly joined: readonly number[] | null;
  /** Version of the operators that it needs. */
  readonly opset: 13 | 21;
}

/**
 * The form of a quantized layer.
 *
 * Scales by row are those of the axis that rows lie along. Groups of columns are blocks (version 21) where columns lie
 * along one axis; else, and with `int8`, every group is a slice of a matrix that is reshaped afterwards.
 * Source: ONNX, Operators, DequantizeLinear 13 and 21.
 *
 * @throws FormatError where groups of one layer have different bits
 */
export function layerForm(layer: GraphLayer, layout: QuantizedLayout, small: SmallCodes): LayerForm {
  assertOneWidth(layout, "QDQ", layer.plan.module);
  const { bits, rows, columns, groupSize, symmetric } = layout;
  const { shape, stored, groups: parts } = layer;
  const wide = bits > 4 || small === "int8";
  const type = wide ? (symmetric ? "int8" : "uint8") : symmetric ? "int4" : "uint4";
  const own = { type, shift: symmetric ? 2 ** (bits - 1) : 0, zeroPoints: true } as const;
  const needs = wide ? 13 : 21;
  if (groupSize === columns && parts === 1) {
    const axis = stored === "rows" ? 0 : 1;
    return {
      ...own,
      shape,
      order: stored,
      axis,
      blockSize: null,
      scaleShape: [rows],
      ...{ reshape: null, transposed: false, joined: null, opset: needs },
    };
  }
  const groups = columns / groupSize;
  const split = parts === 1 ? [] : [parts];
  if (small === "int4" && parts === 1 && shape.slice(2).every((size) => size === 1)) {
    const ones = shape.slice(2);
    const scaleShape = stored === "rows" ? [rows, groups, ...ones] : [groups, rows, ...ones];
    const axis = stored === "rows" ? 1 : 0;
    const zeroPoints = !symmetric;
    return {
      ...own,
      ...{ shape, order: stored, axis, blockSize: groupSize, scaleShape, zeroPoints },
      ...{ reshape: null, transposed: false, joined: null, opset: 21 },
    };
  }
  return {
    ...own,
    ...{ shape: [rows * groups, groupSize], order: "rows", axis: 0, blockSize: null, scaleShape: [rows * groups] },
    reshape: stored === "rows" ? shape : [...split, shape[1] ?? 1, (shape[0] ?? 1) / parts, ...shape.slice(2)],
    ...{ transposed: stored === "columns", joined: parts === 1 ? null : shape, opset: needs },
  };
}

/** Whether two numbers of a type share a byte. */
export function isNibble(type: IntegerType): boolean {
  return type === "int4" || type === "uint4";
}
