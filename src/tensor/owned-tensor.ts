import { type DType, dtypeOf, elementSize } from "./dtype.js";
import { addon, type Handle } from "./engine/addon.js";
import type { Device } from "./engine/device.js";

export type Shape = readonly number[];

/** Numbers in a tensor of this shape. */
export function numbersIn(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1);
}

/**
 * A handle of the addon and who owns it: it lives until `dispose`, the end of its `using`
 * declaration or of the scope it was created in. The garbage collector does not see its memory.
 */
export class OwnedTensor {
  static #collecting: Set<OwnedTensor> | null = null;
  #handle: Handle | null;
  #shape: Shape | null = null;
  #dtype: DType | null = null;
  #device: Device | null = null;

  protected constructor(handle: Handle) {
    this.#handle = handle;
    OwnedTensor.#collecting?.add(this);
  }

  /** Begins a scope; returns what `endCollecting` needs to end it. */
  static beginCollecting(): Set<OwnedTensor> | null {
    const outer = OwnedTensor.#collecting;
    OwnedTensor.#collecting = new Set();
    return outer;
  }

  /** Ends a scope: disposes what it collected, except `kept`, which passes to the outer one. */
  static endCollecting(outer: Set<OwnedTensor> | null, kept: ReadonlySet<OwnedTensor>): void {
    const collected = OwnedTensor.#collecting;
    OwnedTensor.#collecting = outer;
    for (const tensor of collected ?? []) {
      if (!kept.has(tensor)) {
        tensor.dispose();
      } else {
        outer?.add(tensor);
      }
    }
  }

  /** Takes a tensor out of the scope it was created in. */
  static exempt(tensor: OwnedTensor): void {
    OwnedTensor.#collecting?.delete(tensor);
  }

  /** The addon's name of the tensor; throws when it was disposed. */
  get handle(): Handle {
    if (this.#handle === null) {
      throw new TypeError("tensor was disposed");
    }
    return this.#handle;
  }

  get isDisposed(): boolean {
    return this.#handle === null;
  }

  /** Frees the tensor; its memory goes when no graph and no view needs it. Safe to call twice. */
  dispose(): void {
    if (this.#handle !== null) {
      addon().release(this.#handle);
      this.#handle = null;
      OwnedTensor.#collecting?.delete(this);
    }
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Gives the handle up without freeing it: the addon owns it from here. */
  surrender(): Handle {
    const handle = this.handle;
    this.#handle = null;
    OwnedTensor.#collecting?.delete(this);
    return handle;
  }

  get shape(): Shape {
    this.#describe();
    return this.#shape as Shape;
  }

  get dtype(): DType {
    this.#describe();
    return this.#dtype as DType;
  }

  get device(): Device {
    this.#describe();
    return this.#device as Device;
  }

  get rank(): number {
    return this.shape.length;
  }

  get numel(): number {
    return numbersIn(this.shape);
  }

  get byteLength(): number {
    return this.numel * elementSize(this.dtype);
  }

  /** Size of one dimension; negative ones count from the end. */
  size(dim: number): number {
    const size = this.shape[dim < 0 ? dim + this.rank : dim];
    if (size === undefined) {
      throw new RangeError(`dimension ${dim} of a tensor of shape [${this.shape.join(", ")}]`);
    }
    return size;
  }

  // In-place methods keep shape, dtype and device, so one description serves for life.
  #describe(): void {
    if (this.#shape === null) {
      const facts = addon().describe(this.handle);
      this.#shape = facts.shape;
      this.#dtype = dtypeOf(facts.dtype);
      this.#device = facts.device as Device;
    }
  }
}
