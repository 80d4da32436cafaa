import { DATA_TYPES } from "../../../checkpoint/onnx/schema.js";
import type { KeyedGrid } from "../../contract/input-grid.js";
import type { Additions } from "./additions.js";

/**
 * Step and zero point of a grid by time step: tables that the graph gathers from by its own input.
 *
 * All examples that are computed at once have to be at one step. Where they are not, and at a step without a grid of its own, the
 * index lies beyond the table and Gather fails, which is the only way of a graph to refuse an input.
 */
export function lookedUp(
  additions: Additions,
  value: string,
  { input, keys, scales, zeroPoints, unknown }: KeyedGrid,
): { readonly scale: string; readonly zeroPoint: string } {
  const order = keys.map((_, i) => i).sort((a, b) => (keys[a] ?? 0) - (keys[b] ?? 0));
  const sorted = order.map((i) => Math.fround(keys[i] ?? 0));
  const index = additions.once(`index ${unknown} ${input} ${sorted}`, () =>
    stepIndex(additions, input, sorted, unknown),
  );
  const table = additions.float32(
    `${value}_scales`,
    order.map((i) => scales[i] ?? 0),
  );
  const zeros = additions.codes(
    `${value}_zero_points`,
    "uint8",
    order.map((i) => zeroPoints[i] ?? 0),
    [order.length],
  );
  return {
    scale: additions.node(`${value}_scale_Gather`, "Gather", [table, index], { axis: 0 }),
    zeroPoint: additions.node(`${value}_zero_point_Gather`, "Gather", [zeros, index], { axis: 0 }),
  };
}

/** The number of the step that the input tells among these, a scalar; at least their count where there is none. */
function stepIndex(
  additions: Additions,
  input: string,
  keys: readonly number[],
  unknown: KeyedGrid["unknown"],
): string {
  const count = keys.length;
  const wide = additions.node(`${input}_Cast`, "Cast", [input], { to: DATA_TYPES.float32 });
  const column = additions.node(`${input}_Reshape`, "Reshape", [wide, additions.int64([-1, 1])]);
  const found =
    unknown === "error" ? sameStep(additions, input, column, keys) : nearestStep(additions, input, column, keys);
  const last = additions.node(`${input}_last`, "ReduceMax", [found], { keepdims: 0 });
  const first = additions.node(`${input}_first`, "ReduceMin", [found], { keepdims: 0 });
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
