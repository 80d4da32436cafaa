import { CalibrationError } from "../../errors.js";
import type { TensorGrid } from "./asymmetric-tensor.js";

/**
 * Asymmetric grids of one input, one for each value that another input of the network may have: a time step, a noise level.
 * `x^ = scale[k] (code - zeroPoint[k])`, code from 0 to `2^bits - 1`.
 */
export interface KeyedGrid {
  readonly bits: number;
  /** The network's input that tells which one counts: one number for each example. */
  readonly input: string;
  /** Its values, as fp32 has them, ascending. */
  readonly keys: readonly number[];
  /** fp32, one for each key. */
  readonly scales: readonly number[];
  /** Integers from 0 to `2^bits - 1`, one for each key. */
  readonly zeroPoints: readonly number[];
  /** What becomes of a value that is no key: it is refused, or takes the grid of the nearest key. */
  readonly unknown: "error" | "nearest";
}

/** The grid of a value. @throws CalibrationError for one that is no key, unless the nearest counts */
export function gridAt({ input, keys, scales, zeroPoints, unknown }: KeyedGrid, value: number): TensorGrid {
  const wanted = Math.fround(value);
  const nearest = keys.reduce(
    (best, key, i) => (Math.abs(key - wanted) < Math.abs((keys[best] ?? 0) - wanted) ? i : best),
    0,
  );
  if (unknown === "error" && keys[nearest] !== wanted) throw unknownKey(input, keys, wanted);
  return { scale: scales[nearest] ?? 1, zeroPoint: zeroPoints[nearest] ?? 0 };
}

/** What is said of a value of the input for which no range was found. */
export function unknownKey(input: string, keys: readonly number[], value: number): CalibrationError {
  const known = keys.length > 6 ? `${keys.slice(0, 3).join(", ")} ... ${keys.slice(-2).join(", ")}` : keys.join(", ");
  return new CalibrationError({
    what: `${value} is no step that ranges were found for: ${known}`,
    where: `input "${input}"`,
    why: "ranges belong to the time steps of the sampler that calibrated them",
    next: "sample with that sampler and that number of steps, or quantize again with --set tfmq.unknownStep=nearest",
  });
}
