import { OwnedTensor } from "./owned-tensor.js";

/**
 * Frees every tensor that is created inside `body` when it ends, except those reachable from what
 * it returns: a tensor, or arrays and plain objects of tensors. Those pass to the scope around, or
 * to the caller. `body` must not be async. Scopes nest.
 */
export function scope<T>(body: () => T): T {
  const outer = OwnedTensor.beginCollecting();
  let result: T;
  try {
    result = body();
  } catch (error) {
    OwnedTensor.endCollecting(outer, new Set());
    throw error;
  }
  if (result instanceof Promise) {
    OwnedTensor.endCollecting(outer, new Set());
    throw new TypeError("the body of a scope must not be async: its tensors would be freed while it waits");
  }
  const kept = new Set<OwnedTensor>();
  collect(result, kept);
  OwnedTensor.endCollecting(outer, kept);
  return result;
}

/** Exempts a tensor from the scope it was created in: it lives until it is disposed. */
export function keep<T extends OwnedTensor>(tensor: T): T {
  OwnedTensor.exempt(tensor);
  return tensor;
}

/** What `make` returns; where it throws, `owned` is freed first. */
export function freeOnError<T>(owned: readonly { dispose(): void }[], make: () => T): T {
  try {
    return make();
  } catch (error) {
    for (const each of owned) each.dispose();
    throw error;
  }
}

function collect(value: unknown, kept: Set<OwnedTensor>): void {
  if (value instanceof OwnedTensor) {
    kept.add(value);
  } else if (Array.isArray(value) || value instanceof Map || value instanceof Set) {
    for (const entry of value instanceof Map ? value.values() : value) {
      collect(entry, kept);
    }
  } else if (value !== null && typeof value === "object" && isPlain(value)) {
    for (const entry of Object.values(value)) {
      collect(entry, kept);
    }
  }
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
