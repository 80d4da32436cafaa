import { DATA_TYPES } from "../../../checkpoint/onnx/schema.js";
import type { KeyedGrid } from "../../../quant/input/keyed-grid.js";
import type { Additions } from "./additions.js";

/** Step and zero point of a grid by time step, as the graph computes them. */
export interface LookedUp {
  readonly scale: string;
  readonly zeroPoint: string;
}

/**
 * Tables that the graph gathers from by its own input. At a step without a grid of its own the index lies beyond the table and Gather
 * fails, which is the only way of a graph to refuse an input.
 *
 * @param byExample whether every example has a step of its own; else all have to be at one, and Gather fails where they are not
 */
export function lookedUp(
  additions: Additions,
  value: string,
  { input, keys, scales, zeroPoints, unknown }: KeyedGrid,
  { byExample, zeroPoints: type }: { readonly byExample: boolean; readonly zeroPoints: "uint8" | "float32" },
): LookedUp {
  const order = keys.map((_, i) => i).sort((a, b) => (keys[a] ?? 0) - (keys[b] ?? 0));
  const sorted = order.map((i) => Math.fround(keys[i] ?? 0));
  const each = (): string =>
    additions.once(`steps ${unknown} ${input} ${sorted}`, () => stepIndices(additions, input, sorted, unknown));
  const index = byExample
    ? each()
    : additions.once(`step ${unknown} ${input} ${sorted}`, () => oneIndex(additions, input, each(), sorted.length));
  const table = additions.float32(
    `${value}_scales`,
    order.map((i) => scales[i] ?? 0),
  );
  const points = order.map((i) => zeroPoints[i] ?? 0);
  const zeros =
    type === "float32"
      ? additions.float32(`${value}_zero_points`, points)
      : additions.codes(`${value}_zero_points`, "uint8", points, [order.length]);
  return {
    scale: additions.node(`${value}_scale_Gather`, "Gather", [table, index], { axis: 0 }),
    zeroPoint: additions.node(`${value}_zero_point_Gather`, "Gather", [zeros, index], { axis: 0 }),
  };
}

/** The numbers of the steps that the input tells among these, `[n]`; at least their count where there is none. */
function stepIndices(
  additions: Additions,
  input: string,
  keys: readonly number[],
  unknown: KeyedGrid["unknown"],
): string {
  const wide = additions.node(`${input}_Cast`, "Cast", [input], { to: DATA_TYPES.float32 });
  const column = additions.node(`${input}_Reshape`, "Reshape", [wide, additions.int64([-1, 1])]);
  return unknown === "error" ? sameStep(additions, input, column, keys) : nearestStep(additions, input, column, keys);
}

/** The one number that all of these are, a scalar; beyond the table where they differ. */
function oneIndex(additions: Additions, input: string, indices: string, count: number): string {
  const last = additions.node(`${input}_last`, "ReduceMax", [indices], { keepdims: 0 });
  const first = additions.node(`${input}_first`, "ReduceMin", [indices], { keepdims: 0 });
  const apart = additions.node(`${input}_apart`, "Sub", [last, first]);
  const beyond = additions.node(`${input}_beyond`, "Mul", [apart, additions.int64([count], [])]);
  return additions.node(`${input}_index`, "Add", [last, beyond]);
}

/** `K - sum of (K - k) over the keys k that are equal`: `k`, or `K` where none is. */
function sameStep(additions: Additions, input: string, column: string, keys: readonly number[]): string {
  const count = keys.length;
  const table = additions.float32(`${input}_steps`, keys);
  const equal = additions.node(`${input}_Equal`, "Equal", [column, table]);
  const units = additions.node(`${input}_Equal_Cast`, "Cast", [equal], { to: DATA_TYPES.int64 });
  const weights = additions.int64(keys.map((_, k) => count - k));
  const weighted = additions.node(`${input}_weighted`, "Mul", [units, weights]);
  const sum = additions.node(`${input}_sum`, "ReduceSum", [weighted, additions.int64([1])], { keepdims: 0 });
  return additions.node(`${input}_place`, "Sub", [additions.int64([count], []), sum]);
}

/** How many middles between neighbouring keys lie below. */
function nearestStep(additions: Additions, input: string, column: string, keys: readonly number[]): string {
  const middles = keys.slice(1).map((key, i) => (key + (keys[i] ?? 0)) / 2);
  const table = additions.float32(`${input}_middles`, middles.length > 0 ? middles : [Number.POSITIVE_INFINITY]);
  const above = additions.node(`${input}_Greater`, "Greater", [column, table]);
  const units = additions.node(`${input}_Greater_Cast`, "Cast", [above], { to: DATA_TYPES.int64 });
  return additions.node(`${input}_place`, "ReduceSum", [units, additions.int64([1])], { keepdims: 0 });
}
