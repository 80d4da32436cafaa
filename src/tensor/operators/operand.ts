import type { Handle } from "../engine/addon.js";
import { dispatch, type Keywords, type Value } from "../engine/dispatch.js";
import { OwnedTensor } from "../owned-tensor.js";
import type { Tensor } from "../tensor.js";

/**
 * A tensor that operators are called on. Each class of this folder adds the methods of one group, and `Tensor` has them
 * all. What an operator returns is a `Tensor`, which is not known here: `result` leaves making it to that class.
 */
export abstract class Operand extends OwnedTensor {
  /** Takes over a handle that the addon returned. */
  protected abstract result(handle: Handle): Tensor;

  /** Calls an operator that returns one tensor. */
  protected operate(name: string, positional: readonly Value[], keywords?: Keywords): Tensor {
    return this.result(dispatch(name, positional, keywords, false).result as Handle);
  }

  /** Calls an operator that returns several tensors. */
  protected operateMany(name: string, positional: readonly Value[], keywords?: Keywords): Tensor[] {
    const handles = dispatch(name, positional, keywords, false).result as Handle[];
    return handles.map((handle) => this.result(handle));
  }

  /** Calls an operator for its effect on this tensor. */
  protected change(name: string, positional: readonly Value[], keywords?: Keywords): this {
    dispatch(name, positional, keywords, true);
    return this;
  }
}
