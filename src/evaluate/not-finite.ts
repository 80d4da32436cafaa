import { ModelError } from "../errors.js";

/** The error for results of a model that are no numbers. */
export function notFinite(what: string, where: string): ModelError {
  return new ModelError({
    what: `${what} are not finite`,
    where,
    why: "values overflow in the arithmetic that was chosen, or weights or scales are broken",
    next: "evaluate in float32 on the CPU; if that fails too, quantize or download the model again",
  });
}
