import type { QuantizedWeight } from "../../../quant/quantized-weight.js";
import { toHalfBits } from "../../bits/half.js";
import { assertSound } from "../../contract/assert-sound.js";
import { type QuantizedType, TENSOR_TYPES } from "../file/layout.js";
import { type BlockFields, newBlockFields, PACKERS } from "./pack.js";

/** Writes the blocks of one row of the weight at `at`; the bytes there must be zero. */
export type RowEncoder = (row: number, out: Uint8Array, at: number) => void;

/**
 * How each type expresses `scale * (code - zeroPoint)`: the block's fields from one scale, one zero point
 * and the codes of the block.
 */
type Express = (fields: BlockFields, codes: Uint8Array, scale: number, zeroPoint: number) => void;

/** Q2_0 and TQ2_0 hold -1..2 but the grid is -2..1: mirror the codes and negate the scale. */
const mirrored: Express = (fields, codes, scale, zeroPoint) => {
  fields.scale = toHalfBits(-scale);
  for (let e = 0; e < codes.length; e++) fields.codes[e] = zeroPoint + 1 - (codes[e] ?? 0);
};

/** K types with minimums: sub-block scale 1 and minimum z, so that d*q - d*z is the weight. */
const shared: Express = (fields, codes, scale, zeroPoint) => {
  fields.scale = toHalfBits(scale);
  fields.minimum = fields.scale;
  fields.subScales.fill(1);
  fields.subMinimums.fill(zeroPoint);
  fields.codes.set(codes);
};

const EXPRESS: Readonly<Record<QuantizedType, Express>> = {
  Q4_0(fields, codes, scale, zeroPoint) {
    fields.scale = toHalfBits(scale);
    for (let e = 0; e < codes.length; e++) fields.codes[e] = (codes[e] ?? 0) - zeroPoint + 8;
  },
  Q4_1(fields, codes, scale, zeroPoint) {
    fields.scale = toHalfBits(scale);
    // Beyond fp16's range only for a scale above 4000, which no trained weight has: clamp rather than write infinity.
    fields.minimum = toHalfBits(Math.max(-65504, Math.min(65504, -scale * zeroPoint)));
    fields.codes.set(codes);
  },
  Q8_0(fields, codes, scale, zeroPoint) {
    fields.scale = toHalfBits(scale);
    for (let e = 0; e < codes.length; e++) fields.codes[e] = (codes[e] ?? 0) - zeroPoint;
  },
  Q2_0: mirrored,
  TQ2_0: mirrored,
  Q2_K: shared,
  Q3_K(fields, codes, scale) {
    fields.scale = toHalfBits(scale);
    // The stored field has an offset of 32: 33 means a sub-block scale of 1.
    fields.subScales.fill(33);
    fields.codes.set(codes);
  },
  Q4_K: shared,
};

/**
 * An encoder of `weight` into `type`, which must be one of `exactTypes(weight)`.
 * Throws a FormatError when the weight breaks its own promises: array lengths, code range, fp16 scales.
 */
export function rowEncoder(weight: QuantizedWeight, type: QuantizedType, name: string): RowEncoder {
  assertSound(weight, name);
  const { elements, bytes } = TENSOR_TYPES[type];
  const { columns, groupSize } = weight;
  const groups = columns / groupSize;
  const express = EXPRESS[type];
  const pack = PACKERS[type];
  const fields = newBlockFields();
  return (row, out, at) => {
    for (let column = 0; column < columns; column += elements, at += bytes) {
      const start = row * columns + column;
      const group = row * groups + Math.floor(column / groupSize);
      const codes = weight.codes.subarray(start, start + elements);
      express(fields, codes, weight.scales[group] ?? 0, weight.zeroPoints[group] ?? 0);
      pack(fields, out, at);
    }
  };
}
