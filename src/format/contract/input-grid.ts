import type { KeyedGrid } from "../../quant/input/keyed-grid.js";

/** One grid of a layer's input: `x^ = scale (code - zeroPoint)` with codes from 0 to `2^bits - 1`. */
export interface ConstantGrid {
  readonly bits: number;
  readonly scale: number;
  readonly zeroPoint: number;
}

/** The grid of these codes. Without a zero point it lies evenly around zero: its signed codes are unsigned ones around their middle. */
export function constantGrid(bits: number, scale: number, zeroPoint: number | undefined): ConstantGrid {
  return { bits, scale, zeroPoint: zeroPoint ?? 2 ** (bits - 1) };
}

/** How the input of a layer of a graph is quantized at run time: everywhere the same, or by the time step that it is given. */
export type InputGrid = ConstantGrid | KeyedGrid;

export function isKeyed(grid: InputGrid): grid is KeyedGrid {
  return "keys" in grid;
}
