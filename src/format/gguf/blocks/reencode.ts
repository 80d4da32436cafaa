import type { QuantizedWeight } from "../../../quant/quantized-weight.js";
import { fromHalfBits, roundToHalf, toHalfBits } from "../../bits/half.js";
import type { QuantizedLayout } from "../../contract/export-source.js";
import { TENSOR_TYPES } from "../file/layout.js";
import type { RowEncoder } from "./encode.js";
import { exactTypes } from "./exact-type.js";
import { type BlockFields, newBlockFields, PACKERS } from "./pack.js";

/** Types that re-encoding can write. */
export type ReencodedType = "Q2_K" | "Q3_K" | "Q4_K" | "Q4_1" | "Q8_0";

/** The block types of about a scheme's own size, the best first. */
const SAME_SIZE: Readonly<Record<number, readonly ReencodedType[]>> = {
  2: ["Q2_K"],
  3: ["Q3_K"],
  4: ["Q4_K", "Q4_1"],
};

/**
 * The type that re-encoding writes where no exact type of the scheme's own size exists: the size is kept and the
 * codes are rounded again. Null when no block type divides the columns, so that only floats are left.
 */
export function reencodedType(layout: QuantizedLayout): ReencodedType | null {
  const candidates = [...(SAME_SIZE[layout.bits] ?? []), "Q8_0"] as const;
  return candidates.find((type) => layout.columns % TENSOR_TYPES[type].elements === 0) ?? null;
}

/** True when re-encoding would lose something that an exact type of the same size keeps. */
export function hasExactSize(layout: QuantizedLayout): boolean {
  return exactTypes(layout).some(({ wider }) => !wider);
}

/** What a block is made from: its values, and the grid that they lie on where one group covers the sub-block. */
interface Grid {
  readonly scale: number;
  readonly zeroPoint: number;
  readonly levels: number;
}

type GridAt = (column: number, count: number) => Grid | null;
type Refit = (fields: BlockFields, values: Float32Array, gridAt: GridAt) => void;

/** Rounds code by code to the levels that the fields decode to. */
function roundCodes(fields: BlockFields, values: Float32Array, from: number, count: number, level: LevelOf): void {
  const { step, offset, low, high } = level;
  for (let e = from; e < from + count; e++) {
    const code = step === 0 ? 0 : Math.round(((values[e] ?? 0) - offset) / step);
    fields.codes[e] = Math.max(low, Math.min(high, code)) - Math.min(low, 0);
  }
}

interface LevelOf {
  readonly step: number;
  readonly offset: number;
  readonly low: number;
  readonly high: number;
}

/** Smallest and largest value with zero between them. */
function range(values: Float32Array, from: number, count: number): { low: number; high: number } {
  let low = 0;
  let high = 0;
  for (let e = from; e < from + count; e++) {
    low = Math.min(low, values[e] ?? 0);
    high = Math.max(high, values[e] ?? 0);
  }
  return { low, high };
}

/** Q2_K and Q4_K: unsigned sub-block scales and minimums, both multiples of a step of the super-block. */
function withMinimums(subBlock: number, levels: number, fieldMax: number): Refit {
  const subs = 256 / subBlock;
  return (fields, values, gridAt) => {
    const ideals = Array.from({ length: subs }, (_, i) => {
      const grid = gridAt(i * subBlock, subBlock);
      if (grid !== null) {
        // A negative scale is the mirrored grid with a positive one.
        const zeroPoint = grid.scale < 0 ? grid.levels - grid.zeroPoint : grid.zeroPoint;
        return { scale: Math.abs(grid.scale), minimum: Math.abs(grid.scale) * zeroPoint };
      }
      const { low, high } = range(values, i * subBlock, subBlock);
      return { scale: (high - low) / levels, minimum: -low };
    });
    fields.scale = toHalfBits(Math.max(...ideals.map(({ scale }) => scale)) / fieldMax);
    fields.minimum = toHalfBits(Math.max(...ideals.map(({ minimum }) => minimum)) / fieldMax);
    const d = fromHalfBits(fields.scale);
    const dmin = fromHalfBits(fields.minimum);
    ideals.forEach(({ scale, minimum }, i) => {
      const sub = d === 0 ? 0 : Math.min(fieldMax, Math.round(scale / d));
      const subMinimum = dmin === 0 ? 0 : Math.min(fieldMax, Math.round(minimum / dmin));
      fields.subScales[i] = sub;
      fields.subMinimums[i] = subMinimum;
      const level = { step: d * sub, offset: -dmin * subMinimum, low: 0, high: levels };
      roundCodes(fields, values, i * subBlock, subBlock, level);
    });
  };
}

const REFITS: Readonly<Record<ReencodedType, Refit>> = {
  Q2_K: withMinimums(16, 3, 15),
  Q4_K: withMinimums(32, 15, 63),
  Q3_K(fields, values, gridAt) {
    const ideals = Array.from({ length: 16 }, (_, i) => {
      const grid = gridAt(i * 16, 16);
      if (grid !== null && grid.zeroPoint === 4) return grid.scale;
      const { low, high } = range(values, i * 16, 16);
      return (-low >= high ? -low : -high) / 4;
    });
    const largest = ideals.reduce((best, scale) => (Math.abs(scale) > Math.abs(best) ? scale : best), 0);
    fields.scale = toHalfBits(largest / -32);
    const d = fromHalfBits(fields.scale);
    ideals.forEach((scale, i) => {
      const sub = d === 0 ? 0 : Math.max(-32, Math.min(31, Math.round(scale / d)));
      fields.subScales[i] = sub + 32;
      roundCodes(fields, values, i * 16, 16, { step: d * sub, offset: 0, low: -4, high: 3 });
    });
  },
  Q4_1(fields, values) {
    const { low, high } = range(values, 0, 32);
    fields.scale = toHalfBits((high - low) / 15);
    fields.minimum = toHalfBits(low);
    const level = { step: fromHalfBits(fields.scale), offset: fromHalfBits(fields.minimum), low: 0, high: 15 };
    roundCodes(fields, values, 0, 32, level);
  },
  Q8_0(fields, values) {
    const { low, high } = range(values, 0, 32);
    // Never smaller than the ideal scale, so that the largest value stays within 127 steps.
    const ideal = Math.max(-low, high) / 127;
    const scale = roundToHalf(ideal) < ideal ? toHalfBits(ideal) + 1 : toHalfBits(ideal);
    fields.scale = scale;
    const step = fromHalfBits(scale);
    for (let e = 0; e < 32; e++) fields.codes[e] = step === 0 ? 0 : Math.round((values[e] ?? 0) / step);
  },
};

/** Rounds rows of floats to `type`: `values` are the columns of one row. */
export function floatRowEncoder(type: ReencodedType): (values: Float32Array, out: Uint8Array, at: number) => void {
  const { elements, bytes } = TENSOR_TYPES[type];
  const fields = newBlockFields();
  return (values, out, at) => {
    for (let column = 0; column < values.length; column += elements, at += bytes) {
      REFITS[type](fields, values.subarray(column, column + elements), () => null);
      PACKERS[type](fields, out, at);
    }
  };
}

/** Rounds the rows of a quantized weight to `type`, on the weight's own grid where a sub-block lies in one group. */
export function reencoder(
  weight: QuantizedWeight,
  type: ReencodedType,
  rowOf: (row: number) => Float32Array,
): RowEncoder {
  const { elements, bytes } = TENSOR_TYPES[type];
  const { groupSize, columns, scales, zeroPoints } = weight;
  const levels = 2 ** weight.bits - 1;
  const fields = newBlockFields();
  return (row, out, at) => {
    const values = rowOf(row);
    for (let start = 0; start < columns; start += elements, at += bytes) {
      const gridAt: GridAt = (column, count) => {
        const first = Math.floor((start + column) / groupSize);
        if (first !== Math.floor((start + column + count - 1) / groupSize)) return null;
        const group = row * (columns / groupSize) + first;
        return { scale: scales[group] ?? 0, zeroPoint: zeroPoints[group] ?? 0, levels };
      };
      REFITS[type](fields, values.subarray(start, start + elements), gridAt);
      PACKERS[type](fields, out, at);
    }
  };
}
