import { DATA_TYPES } from "../../../checkpoint/onnx/schema.js";
import { FormatError } from "../../../errors.js";
import type { KeyedGrid } from "../../../quant/input/keyed-grid.js";
import { type ConstantGrid, type InputGrid, isKeyed } from "../../contract/input-grid.js";
import type { Additions } from "./additions.js";
import { type LookedUp, lookedUp } from "./looked-up.js";

/**
 * Version of the operators that quantized inputs need. Their codes are UINT8 whatever their bits, cut off by a Clip where they have
 * fewer: UINT4 is in ONNX, but onnxruntime refuses to load a graph in which it comes behind a Clip or before a MaxPool, since it
 * moves the integers past those.
 */
export const INPUT_OPSET = 13;

/** @throws FormatError for a grid that integers can't have, naming the module */
export function assertGrid(grid: InputGrid, module: string): void {
  const grids: readonly ConstantGrid[] = isKeyed(grid) ? ofKeys(grid) : [grid];
  const refuse = (what: string, next: string): never => {
    throw new FormatError({ what, where: `${module}, its input`, next });
  };
  if (!Number.isInteger(grid.bits) || grid.bits < 2 || grid.bits > 8) {
    refuse(`${grid.bits} bits`, "quantize inputs with 4 or 8 bits");
  }
  for (const { scale, zeroPoint } of grids) {
    if (!(scale > 0 && Number.isFinite(Math.fround(scale)) && Math.fround(scale) > 0)) {
      refuse(`the step ${scale}`, "calibrate again: the inputs were not finite");
    }
    if (!Number.isInteger(zeroPoint) || zeroPoint < 0 || zeroPoint >= 2 ** grid.bits) {
      refuse(
        `the zero point ${zeroPoint}, where QDQ has whole ones from 0 to ${2 ** grid.bits - 1}`,
        "align zero with the grid of inputs",
      );
    }
  }
}

/** The grid of every key. @throws FormatError where there are not as many as keys */
export function ofKeys({ bits, keys, scales, zeroPoints, input }: KeyedGrid): readonly ConstantGrid[] {
  if (keys.length === 0 || scales.length !== keys.length || zeroPoints.length !== keys.length) {
    throw new FormatError({
      what: `${scales.length} steps and ${zeroPoints.length} zero points for ${keys.length} time steps`,
      where: `input "${input}"`,
      next: "calibrate again: the ranges by time step are not complete",
    });
  }
  return keys.map((_, i) => ({ bits, scale: scales[i] ?? 0, zeroPoint: zeroPoints[i] ?? 0 }));
}

/** How the nodes around a quantized input are written. */
export interface InputWriting {
  /** Floats other than fp32 that the graph computes with: integers come from and go to them by a Cast. */
  readonly half: "float16" | "bfloat16" | null;
  /** Dimensions of the value where each example has a place of its own in it; null where that is not known. */
  readonly rank: number | null;
}

/** The nodes that put a value on a grid and back, and the name under which their result goes on. */
export function quantizedInput(
  additions: Additions,
  value: string,
  grid: InputGrid,
  { half, rank }: InputWriting,
): string {
  const wide = half === null ? value : additions.node(`${value}_Cast`, "Cast", [value], { to: DATA_TYPES.float32 });
  const back = (from: string): string =>
    half === null ? from : additions.node(`${value}_CastBack`, "Cast", [from], { to: DATA_TYPES[half] });
  if (isKeyed(grid) && rank !== null) return back(byExample(additions, value, wide, grid, rank));
  const steps = isKeyed(grid)
    ? lookedUp(additions, value, grid, { byExample: false, zeroPoints: "uint8" })
    : {
        scale: additions.float32(`${value}_scale`, [Math.fround(grid.scale)], []),
        zeroPoint: additions.codes(`${value}_zero_point`, "uint8", [grid.zeroPoint], []),
      };
  const { scale, zeroPoint } = steps;
  const cut = grid.bits < 8 ? clipped(additions, value, wide, { grid, steps }) : wide;
  const codes = additions.node(`${value}_QuantizeLinear`, "QuantizeLinear", [cut, scale, zeroPoint]);
  return back(additions.node(`${value}_DequantizeLinear`, "DequantizeLinear", [codes, scale, zeroPoint]));
}

/**
 * Every example on the grid of its own step, in plain arithmetic of the same results: onnxruntime makes products of integers of what
 * comes from a DequantizeLinear, and has none for a scale by example.
 */
function byExample(additions: Additions, value: string, from: string, grid: KeyedGrid, rank: number): string {
  const steps = lookedUp(additions, value, grid, { byExample: true, zeroPoints: "float32" });
  const shape = additions.int64(Array.from({ length: rank }, (_, i) => (i === 0 ? -1 : 1)));
  const scale = additions.node(`${value}_scale_Reshape`, "Reshape", [steps.scale, shape]);
  const zero = additions.node(`${value}_zero_point_Reshape`, "Reshape", [steps.zeroPoint, shape]);
  const top = 2 ** grid.bits - 1;
  const ends = [0, top].map((end) =>
    additions.once(`float ${end}`, () => additions.float32(`number_${end}`, [end], [])),
  );
  const units = additions.node(`${value}_Div`, "Div", [from, scale]);
  const whole = additions.node(`${value}_Round`, "Round", [units]);
  const shifted = additions.node(`${value}_Add`, "Add", [whole, zero]);
  const codes = additions.node(`${value}_Clip`, "Clip", [shifted, ...ends]);
  const centred = additions.node(`${value}_Sub`, "Sub", [codes, zero]);
  return additions.node(`${value}_Mul`, "Mul", [centred, scale]);
}

/** Cuts off what lies beyond the codes of a grid: from `-zeroPoint` to `2^bits - 1 - zeroPoint` steps. */
function clipped(
  additions: Additions,
  value: string,
  from: string,
  { grid, steps }: { readonly grid: InputGrid; readonly steps: LookedUp },
): string {
  if (!isKeyed(grid)) {
    const step = Math.fround(grid.scale);
    const low = additions.float32(`${value}_low`, [Math.fround(-grid.zeroPoint * step)], []);
    const high = additions.float32(`${value}_high`, [Math.fround((2 ** grid.bits - 1 - grid.zeroPoint) * step)], []);
    return additions.node(`${value}_Clip`, "Clip", [from, low, high]);
  }
  const most = additions.float32(`${value}_most`, [2 ** grid.bits - 1], []);
  const zero = additions.node(`${value}_zero_point_Cast`, "Cast", [steps.zeroPoint], { to: DATA_TYPES.float32 });
  const below = additions.node(`${value}_below`, "Neg", [zero]);
  const above = additions.node(`${value}_above`, "Sub", [most, zero]);
  const low = additions.node(`${value}_low_Mul`, "Mul", [below, steps.scale]);
  const high = additions.node(`${value}_high_Mul`, "Mul", [above, steps.scale]);
  return additions.node(`${value}_Clip`, "Clip", [from, low, high]);
}
