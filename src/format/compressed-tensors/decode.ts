import type { SafetensorsDType } from "../../checkpoint/dtype.js";
import { BINARY_STEPS } from "../../quant/grid/group-grid.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { floatsFromBytes } from "../bits/float-bytes.js";
import { unpackGroupRows } from "../bits/group-rows.js";
import { viewInt32 } from "../bits/typed-view.js";
import { unpackBits } from "../bits/unpack-bits.js";
import type { QuantizedLayout } from "../contract/export-source.js";
import { misfitOf, damaged as refuse, type StoredTensor } from "../source/stored-tensor.js";
import type { StorageFormat } from "./layout.js";

/** The stored tensors of one Linear. */
export interface StoredWeight {
  /** `weight_packed`, or the int8 `weight`. */
  readonly codes: StoredTensor;
  readonly scale: StoredTensor;
  /** Absent for symmetric weights. */
  readonly zeroPoint: StoredTensor | null;
}

/**
 * Codes, scales and zero points of one Linear from its stored tensors.
 *
 * @param name the module, for errors
 * @throws FormatError when a tensor has not the type, the shape or the code range that the layout asks for
 */
export function decodeWeight(
  name: string,
  layout: QuantizedLayout,
  storage: StorageFormat,
  stored: StoredWeight,
): QuantizedWeight {
  const { bits, groupBits, rows, columns, groupSize, symmetric } = layout;
  const groups = columns / groupSize;
  if (groupBits !== undefined) return decodeGroups(name, { ...layout, groupBits }, stored);
  const packed = storage === "pack-quantized";
  if (packed) expectTensor(stored.codes, ["I32"], [rows, Math.ceil((columns * bits) / 32)], `${name}.weight_packed`);
  else expectTensor(stored.codes, ["I8"], [rows, columns], `${name}.weight`);
  const codes = packed
    ? unpackRows(stored.codes.bytes, rows, columns, bits)
    : unsigned(stored.codes.bytes, bits, `${name}.weight`);
  const scaleName = `${name}.weight_scale`;
  expectTensor(stored.scale, ["F16", "BF16", "F32"], [rows, groups], scaleName);
  const scales = floatsFromBytes(stored.scale.bytes, stored.scale.dtype, scaleName);
  if (scales.some((scale) => !Number.isFinite(scale))) damaged(scaleName, "a scale is no finite number");
  return {
    ...layout,
    codes,
    scales,
    zeroPoints: symmetric ? middle(layout) : zeroPoints(name, layout, packed, stored),
  };
}

function decodeGroups(
  name: string,
  layout: QuantizedLayout & { readonly groupBits: readonly number[] },
  { codes, scale, zeroPoint }: StoredWeight,
): QuantizedWeight {
  const { rows, columns, groupSize, groupBits } = layout;
  const groups = columns / groupSize;
  const width = Math.ceil(groupBits.reduce((sum, bits) => sum + bits * groupSize, 0) / 32);
  expectTensor(codes, ["I32"], [rows, width], `${name}.weight_group_packed`);
  expectTensor(scale, ["F16"], [rows, groups], `${name}.weight_scale`);
  const where = `${name}.weight_zero_point`;
  if (zeroPoint === null) return damaged(where, "groups of different bits without their zero points");
  expectTensor(zeroPoint, ["U8"], [rows, groups], where);
  zeroPoint.bytes.forEach((value, i) => {
    const bits = groupBits[i % groups] ?? 0;
    if (value > (bits === 1 ? BINARY_STEPS : 2 ** bits - 1)) damaged(where, `${value} in a group of ${bits} bits`);
  });
  const scales = floatsFromBytes(scale.bytes, scale.dtype, `${name}.weight_scale`);
  if (scales.some((each) => !Number.isFinite(each))) damaged(`${name}.weight_scale`, "a scale is no finite number");
  return { ...layout, codes: unpackGroupRows(layout, codes.bytes), scales, zeroPoints: zeroPoint.bytes.slice() };
}

/** In symmetric weights nothing is subtracted from the signed code: the unsigned zero point is the offset itself. */
function middle({ bits, rows, columns, groupSize }: QuantizedLayout): Uint8Array {
  return new Uint8Array(rows * (columns / groupSize)).fill(2 ** (bits - 1));
}

function zeroPoints(
  name: string,
  { bits, rows, columns, groupSize }: QuantizedLayout,
  packed: boolean,
  { zeroPoint }: StoredWeight,
): Uint8Array {
  const where = `${name}.weight_zero_point`;
  if (zeroPoint === null) return damaged(where, "an asymmetric weight without its zero points");
  const groups = columns / groupSize;
  if (!packed) {
    expectTensor(zeroPoint, ["I8"], [rows, groups], where);
    return unsigned(zeroPoint.bytes, bits, where);
  }
  expectTensor(zeroPoint, ["I32"], [Math.ceil((rows * bits) / 32), groups], where);
  const words = viewInt32(zeroPoint.bytes);
  const values = new Uint8Array(rows * groups);
  for (let group = 0; group < groups; group++) {
    unpackBits(words, { start: group, stride: groups }, rows, bits, values, { start: group, stride: groups });
  }
  return values;
}

function unpackRows(bytes: Uint8Array, rows: number, columns: number, bits: number): Uint8Array {
  const words = viewInt32(bytes);
  const perRow = words.length / rows;
  const codes = new Uint8Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const to = { start: row * columns, stride: 1 };
    unpackBits(words, { start: row * perRow, stride: 1 }, columns, bits, codes, to);
  }
  return codes;
}

/** int8 values shifted to the unsigned codes of `bits` bits. */
function unsigned(bytes: Uint8Array, bits: number, where: string): Uint8Array {
  const lowest = -(2 ** (bits - 1));
  const values = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  const codes = new Uint8Array(bytes.length);
  for (let i = 0; i < codes.length; i++) {
    const value = values[i] ?? 0;
    if (value < lowest || value >= -lowest) damaged(where, `the value ${value} does not fit ${bits} bits`);
    codes[i] = value - lowest;
  }
  return codes;
}

function expectTensor(
  tensor: StoredTensor,
  dtypes: readonly SafetensorsDType[],
  shape: readonly number[],
  where: string,
): void {
  const misfit = misfitOf(tensor, dtypes, shape);
  if (misfit !== null) damaged(where, misfit);
}

function damaged(where: string, what: string): never {
  refuse(
    where,
    what,
    "the file is damaged, or its config.json belongs to other weights (releases before 2026 padded 3, 5, 6 and 7 bits)",
  );
}
