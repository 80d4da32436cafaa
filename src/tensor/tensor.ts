import { type DType, dtypeCode, dtypeOfArray, elementSize, type TypedArray, viewAs } from "./dtype.js";
import { addon, type Handle } from "./engine/addon.js";
import type { Device } from "./engine/device.js";
import { dispatch, type Value } from "./engine/dispatch.js";
import { ElementwiseOperators } from "./operators/elementwise.js";
import { InPlaceOperators } from "./operators/in-place.js";
import { MatrixOperators } from "./operators/matrix.js";
import { Operand } from "./operators/operand.js";
import { ReductionOperators } from "./operators/reduction.js";
import { ShapeOperators } from "./operators/shape.js";
import type { Shape } from "./owned-tensor.js";

export interface TensorOptions {
  /** Defaults to float32. */
  readonly dtype?: DType;
  /** Defaults to the CPU. */
  readonly device?: Device;
}

/** The methods of operators, by group. */
export interface Tensor
  extends ElementwiseOperators,
    ReductionOperators,
    ShapeOperators,
    MatrixOperators,
    InPlaceOperators {}

const groups = [ElementwiseOperators, ReductionOperators, ShapeOperators, MatrixOperators, InPlaceOperators];

/**
 * An n-dimensional array in libtorch's memory, owned as `OwnedTensor` says. Methods carry libtorch's names and return
 * new tensors; those that end in an underscore change the tensor and return it. Operators are in `operators/`.
 */
export class Tensor extends Operand {
  /** Takes over a handle that the addon returned. */
  static adopt(handle: Handle): Tensor {
    return new Tensor(handle);
  }

  // --- data in and out -------------------------------------------------------------------------

  /**
   * A tensor over a typed array. On the CPU it views the array's memory without a copy; a
   * Uint16Array needs `dtype` float16 or bfloat16.
   */
  static from(data: TypedArray, shape: Shape = [data.length], options: TensorOptions = {}): Tensor {
    const dtype = options.dtype ?? dtypeOfArray(data);
    if (dtype === null || elementSize(dtype) !== data.BYTES_PER_ELEMENT) {
      throw new TypeError(`${data.constructor.name} needs a dtype of ${data.BYTES_PER_ELEMENT}-byte elements`);
    }
    return Tensor.fromBytes(
      new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      shape,
      dtype,
      options.device,
    );
  }

  /** A tensor over raw little-endian bytes, viewed without a copy on the CPU. */
  static fromBytes(bytes: Uint8Array, shape: Shape, dtype: DType, device: Device = "cpu"): Tensor {
    const needed = shape.reduce((product, size) => product * size, elementSize(dtype));
    if (needed !== bytes.byteLength) {
      throw new RangeError(`${dtype}[${shape.join(", ")}] takes ${needed} bytes, got ${bytes.byteLength}`);
    }
    const view = Tensor.adopt(addon().fromBuffer(bytes.buffer, bytes.byteOffset, shape, dtypeCode(dtype)));
    if (device === "cpu") return view;
    const copy = view.to(device);
    view.dispose();
    return copy;
  }

  static scalar(value: number, options: TensorOptions = {}): Tensor {
    return Tensor.full([], value, options);
  }

  static zeros(shape: Shape, options: TensorOptions = {}): Tensor {
    return make("aten::zeros", [shape], options);
  }

  static ones(shape: Shape, options: TensorOptions = {}): Tensor {
    return make("aten::ones", [shape], options);
  }

  static full(shape: Shape, value: number, options: TensorOptions = {}): Tensor {
    return make("aten::full", [shape, value], options);
  }

  /** Uninitialised memory. */
  static empty(shape: Shape, options: TensorOptions = {}): Tensor {
    return make("aten::empty.memory_format", [shape], options);
  }

  /** 0, 1, ... `end - 1`; int64 unless asked for otherwise. */
  static arange(end: number, options: TensorOptions = {}): Tensor {
    return make("aten::arange", [end], { dtype: "int64", ...options });
  }

  /** Standard normal numbers from the global generator (`manualSeed`). */
  static randn(shape: Shape, options: TensorOptions = {}): Tensor {
    return make("aten::randn", [shape], options);
  }

  /** Integers in `[low, high)`. */
  static randint(low: number, high: number, shape: Shape, options: TensorOptions = {}): Tensor {
    return make("aten::randint.low", [low, high, shape], { dtype: "int64", ...options });
  }

  static cat(tensors: readonly Tensor[], dim = 0): Tensor {
    return make("aten::cat", [tensors, dim]);
  }

  static stack(tensors: readonly Tensor[], dim = 0): Tensor {
    return make("aten::stack", [tensors, dim]);
  }

  /** Elements of `a` where `condition` holds, else of `b`. */
  static where(condition: Tensor, a: Tensor, b: Tensor): Tensor {
    return make("aten::where.self", [condition, a, b]);
  }

  /**
   * A view of the memory of a contiguous CPU tensor, without a copy. It keeps the memory alive until the garbage
   * collector and then the event loop have run: not for loops that do not return to it.
   */
  view(): TypedArray {
    return viewAs(this.dtype, addon().toBuffer(this.handle));
  }

  /** The elements, on the host, in memory of their own. */
  toArray(): TypedArray {
    return viewAs(this.dtype, this.toBytes().buffer);
  }

  /** The elements' bytes, little-endian, copied to the host. */
  toBytes(): Uint8Array<ArrayBuffer> {
    const outer = Tensor.beginCollecting();
    try {
      // Not by way of `view`: what that lends goes back to libtorch in the event loop, and a worker that
      // quantizes does not get there before its end.
      const bytes = new Uint8Array(Buffer.allocUnsafeSlow(this.byteLength).buffer);
      Tensor.fromBytes(bytes, this.shape, this.dtype).copy_(this.detach());
      return bytes;
    } finally {
      Tensor.endCollecting(outer, new Set());
    }
  }

  /** The elements converted to float32, on the host. */
  toFloat32Array(): Float32Array {
    const converted = this.to("float32");
    const array = converted.toArray();
    converted.dispose();
    return array as Float32Array;
  }

  /** The only element of a tensor of one element. */
  item(): number {
    return Number(dispatch("aten::item", [this], undefined, false).result);
  }

  // --- autograd --------------------------------------------------------------------------------

  get requiresGrad(): boolean {
    return addon().describe(this.handle).requiresGrad;
  }

  /** Makes a leaf collect gradients, or stop to. */
  requiresGrad_(requires = true): this {
    addon().setRequiresGrad(this.handle, requires);
    return this;
  }

  /** The gradient that `backward` accumulated here; null before the first. A new handle each time. */
  get grad(): Tensor | null {
    const handle = addon().gradOf(this.handle);
    return handle === null ? null : Tensor.adopt(handle);
  }

  clearGrad(): void {
    addon().clearGrad(this.handle);
  }

  detach(): Tensor {
    return this.operate("aten::detach", [this]);
  }

  protected override result(handle: Handle): Tensor {
    return new Tensor(handle);
  }
}

// Mixed in: were the groups classes that extend one another, each would be a constructor more for every tensor (5 % of a
// small operator's time on Node 20).
for (const { prototype } of groups) {
  const { constructor: _, ...methods } = Object.getOwnPropertyDescriptors(prototype);
  Object.defineProperties(Tensor.prototype, methods);
}

function make(name: string, positional: readonly Value[], options?: TensorOptions): Tensor {
  const keywords = options && { dtype: dtypeCode(options.dtype ?? "float32"), device: options.device ?? "cpu" };
  return Tensor.adopt(dispatch(name, positional, keywords, false).result as Handle);
}
