import type { Handle } from "./engine/addon.js";
import { dispatch, type Keywords, type Value } from "./engine/dispatch.js";
import { Tensor } from "./tensor.js";

/** What an operator returns. */
export type Result = Tensor | number | boolean | string | null | readonly (Tensor | number | boolean | string | null)[];

/**
 * Calls an operator of libtorch's dispatcher by its schema name, `aten::add.Tensor`.
 *
 * Arguments are converted by the operator's schema; those left out (or `undefined`) take its
 * defaults, and may be given by keyword. Tensors that come back belong to the caller, or to the
 * `scope` around the call.
 *
 * @throws TensorError when the operator is unknown, refuses its arguments or fails.
 */
export function call(name: string, positional: readonly Value[], keywords?: Keywords): Result {
  const { result, returns } = dispatch(name, positional, keywords, false);
  const adopt = (value: unknown, kind: string | undefined): unknown => {
    if (typeof value === "number" && (kind === "Tensor" || kind === "Tensor?")) return Tensor.adopt(value);
    if (Array.isArray(value) && (kind === "Tensor[]" || kind === "Tensor?[]")) {
      return value.map((entry: unknown) => (typeof entry === "number" ? Tensor.adopt(entry) : null));
    }
    return value;
  };
  const adopted =
    returns.length === 1
      ? adopt(result, returns[0])
      : (result as unknown[]).map((entry, i) => adopt(entry, returns[i]));
  return adopted as Result;
}

/** Calls an operator that returns one tensor. */
export function callTensor(name: string, positional: readonly Value[], keywords?: Keywords): Tensor {
  return Tensor.adopt(dispatch(name, positional, keywords, false).result as Handle);
}

/** Calls an operator that returns several tensors. */
export function callTensors(name: string, positional: readonly Value[], keywords?: Keywords): Tensor[] {
  return (dispatch(name, positional, keywords, false).result as Handle[]).map((handle) => Tensor.adopt(handle));
}

/** Calls an operator for its effect on its arguments (`aten::add_.Tensor`), dropping its result. */
export function callInPlace(name: string, positional: readonly Value[], keywords?: Keywords): void {
  dispatch(name, positional, keywords, true);
}
