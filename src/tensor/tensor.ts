import { type DType, dtypeCode, dtypeOfArray, elementSize, type TypedArray, viewAs } from "./dtype.js";
import { addon, type Handle } from "./engine/addon.js";
import type { Device } from "./engine/device.js";
import { dispatch, type Keywords, type Value } from "./engine/dispatch.js";
import { OwnedTensor, type Shape } from "./owned-tensor.js";

export interface TensorOptions {
  /** Defaults to float32. */
  readonly dtype?: DType;
  /** Defaults to the CPU. */
  readonly device?: Device;
}

/** What an operator returns. */
export type Result = Tensor | number | boolean | string | null | readonly (Tensor | number | boolean | string | null)[];

type Dims = number | readonly number[];

/**
 * An n-dimensional array in libtorch's memory, owned as `OwnedTensor` says. Methods carry libtorch's names and return new tensors; those that end in an
 * underscore change the tensor and return it.
 */
export class Tensor extends OwnedTensor {
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
    return callTensor("aten::zeros", [shape], factory(options));
  }

  static ones(shape: Shape, options: TensorOptions = {}): Tensor {
    return callTensor("aten::ones", [shape], factory(options));
  }

  static full(shape: Shape, value: number, options: TensorOptions = {}): Tensor {
    return callTensor("aten::full", [shape, value], factory(options));
  }

  /** Uninitialised memory. */
  static empty(shape: Shape, options: TensorOptions = {}): Tensor {
    return callTensor("aten::empty.memory_format", [shape], factory(options));
  }

  /** 0, 1, ... `end - 1`; int64 unless asked for otherwise. */
  static arange(end: number, options: TensorOptions = {}): Tensor {
    return callTensor("aten::arange", [end], factory({ dtype: "int64", ...options }));
  }

  /** Standard normal numbers from the global generator (`manualSeed`). */
  static randn(shape: Shape, options: TensorOptions = {}): Tensor {
    return callTensor("aten::randn", [shape], factory(options));
  }

  /** Integers in `[low, high)`. */
  static randint(low: number, high: number, shape: Shape, options: TensorOptions = {}): Tensor {
    return callTensor("aten::randint.low", [low, high, shape], factory({ dtype: "int64", ...options }));
  }

  static cat(tensors: readonly Tensor[], dim = 0): Tensor {
    return callTensor("aten::cat", [tensors, dim]);
  }

  static stack(tensors: readonly Tensor[], dim = 0): Tensor {
    return callTensor("aten::stack", [tensors, dim]);
  }

  /** Elements of `a` where `condition` holds, else of `b`. */
  static where(condition: Tensor, a: Tensor, b: Tensor): Tensor {
    return callTensor("aten::where.self", [condition, a, b]);
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
    const outer = Tensor.beginCollecting();
    try {
      // Not by way of `view`: what that lends goes back to libtorch in the event loop, and a worker that
      // quantizes does not get there before its end.
      const bytes = new Uint8Array(Buffer.allocUnsafeSlow(this.byteLength).buffer);
      Tensor.fromBytes(bytes, this.shape, this.dtype).copy_(this.detach());
      return viewAs(this.dtype, bytes.buffer);
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
    return Number(call("aten::item", [this]));
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
    return callTensor("aten::detach", [this]);
  }

  // --- arithmetic ------------------------------------------------------------------------------

  add(other: Tensor | number): Tensor {
    return typeof other === "number"
      ? callTensor("aten::add.Scalar", [this, other])
      : callTensor("aten::add.Tensor", [this, other]);
  }
  sub(other: Tensor | number): Tensor {
    return typeof other === "number"
      ? callTensor("aten::sub.Scalar", [this, other])
      : callTensor("aten::sub.Tensor", [this, other]);
  }
  mul(other: Tensor | number): Tensor {
    return typeof other === "number"
      ? callTensor("aten::mul.Scalar", [this, other])
      : callTensor("aten::mul.Tensor", [this, other]);
  }
  div(other: Tensor | number): Tensor {
    return typeof other === "number"
      ? callTensor("aten::div.Scalar", [this, other])
      : callTensor("aten::div.Tensor", [this, other]);
  }
  pow(exponent: number | Tensor): Tensor {
    return exponent instanceof Tensor
      ? callTensor("aten::pow.Tensor_Tensor", [this, exponent])
      : callTensor("aten::pow.Tensor_Scalar", [this, exponent]);
  }
  maximum(other: Tensor): Tensor {
    return callTensor("aten::maximum", [this, other]);
  }
  minimum(other: Tensor): Tensor {
    return callTensor("aten::minimum", [this, other]);
  }
  /** Elements limited to `[min, max]`; either bound may be null. */
  clamp(min: number | Tensor | null, max: number | Tensor | null = null): Tensor {
    return min instanceof Tensor || max instanceof Tensor
      ? callTensor("aten::clamp.Tensor", [this, min, max])
      : callTensor("aten::clamp", [this, min, max]);
  }
  neg(): Tensor {
    return callTensor("aten::neg", [this]);
  }
  abs(): Tensor {
    return callTensor("aten::abs", [this]);
  }
  sign(): Tensor {
    return callTensor("aten::sign", [this]);
  }
  square(): Tensor {
    return callTensor("aten::square", [this]);
  }
  sqrt(): Tensor {
    return callTensor("aten::sqrt", [this]);
  }
  rsqrt(): Tensor {
    return callTensor("aten::rsqrt", [this]);
  }
  reciprocal(): Tensor {
    return callTensor("aten::reciprocal", [this]);
  }
  exp(): Tensor {
    return callTensor("aten::exp", [this]);
  }
  log(): Tensor {
    return callTensor("aten::log", [this]);
  }
  cos(): Tensor {
    return callTensor("aten::cos", [this]);
  }
  sin(): Tensor {
    return callTensor("aten::sin", [this]);
  }
  floor(): Tensor {
    return callTensor("aten::floor", [this]);
  }
  /** To the nearest integer, halves to even. */
  round(): Tensor {
    return callTensor("aten::round", [this]);
  }

  // --- activations -----------------------------------------------------------------------------

  sigmoid(): Tensor {
    return callTensor("aten::sigmoid", [this]);
  }
  tanh(): Tensor {
    return callTensor("aten::tanh", [this]);
  }
  relu(): Tensor {
    return callTensor("aten::relu", [this]);
  }
  silu(): Tensor {
    return callTensor("aten::silu", [this]);
  }
  gelu(approximate: "none" | "tanh" = "none"): Tensor {
    return callTensor("aten::gelu", [this], { approximate });
  }
  softmax(dim: number): Tensor {
    return callTensor("aten::softmax.int", [this, dim]);
  }
  logSoftmax(dim: number): Tensor {
    return callTensor("aten::log_softmax.int", [this, dim]);
  }

  // --- products --------------------------------------------------------------------------------

  matmul(other: Tensor): Tensor {
    return callTensor("aten::matmul", [this, other]);
  }
  /** `this [..., in]` times `weight [out, in]` transposed, plus `bias [out]`. */
  linear(weight: Tensor, bias: Tensor | null = null): Tensor {
    return callTensor("aten::linear", [this, weight, bias]);
  }
  outer(other: Tensor): Tensor {
    return callTensor("aten::outer", [this, other]);
  }

  // --- reductions ------------------------------------------------------------------------------

  sum(dims?: Dims, keepdim = false): Tensor {
    return dims === undefined
      ? callTensor("aten::sum", [this])
      : callTensor("aten::sum.dim_IntList", [this, list(dims), keepdim]);
  }
  mean(dims?: Dims, keepdim = false): Tensor {
    return dims === undefined
      ? callTensor("aten::mean", [this])
      : callTensor("aten::mean.dim", [this, list(dims), keepdim]);
  }
  amax(dims: Dims = [], keepdim = false): Tensor {
    return callTensor("aten::amax", [this, list(dims), keepdim]);
  }
  amin(dims: Dims = [], keepdim = false): Tensor {
    return callTensor("aten::amin", [this, list(dims), keepdim]);
  }
  argmax(dim: number, keepdim = false): Tensor {
    return callTensor("aten::argmax", [this, dim, keepdim]);
  }
  cumsum(dim: number): Tensor {
    return callTensor("aten::cumsum", [this, dim]);
  }
  /** Whether every element is true (nonzero). */
  all(): Tensor {
    return callTensor("aten::all", [this]);
  }
  any(): Tensor {
    return callTensor("aten::any", [this]);
  }
  isfinite(): Tensor {
    return callTensor("aten::isfinite", [this]);
  }
  /** Sorted values and their former places. */
  sort(dim = -1, descending = false): { values: Tensor; indices: Tensor } {
    const [values, indices] = callTensors("aten::sort", [this, dim, descending]) as [Tensor, Tensor];
    return { values, indices };
  }
  topk(k: number, dim = -1): { values: Tensor; indices: Tensor } {
    const [values, indices] = callTensors("aten::topk", [this, k, dim]) as [Tensor, Tensor];
    return { values, indices };
  }
  /** `count` places drawn with probabilities proportional to the last dimension. */
  multinomial(count: number): Tensor {
    return callTensor("aten::multinomial", [this, count]);
  }

  // --- comparison ------------------------------------------------------------------------------

  lt(other: Tensor | number): Tensor {
    return compare("lt", this, other);
  }
  le(other: Tensor | number): Tensor {
    return compare("le", this, other);
  }
  gt(other: Tensor | number): Tensor {
    return compare("gt", this, other);
  }
  ge(other: Tensor | number): Tensor {
    return compare("ge", this, other);
  }
  eq(other: Tensor | number): Tensor {
    return compare("eq", this, other);
  }
  logicalAnd(other: Tensor): Tensor {
    return callTensor("aten::logical_and", [this, other]);
  }
  logicalNot(): Tensor {
    return callTensor("aten::logical_not", [this]);
  }
  maskedFill(mask: Tensor, value: number): Tensor {
    return callTensor("aten::masked_fill.Scalar", [this, mask, value]);
  }

  // --- shape -----------------------------------------------------------------------------------

  reshape(shape: Shape): Tensor {
    return callTensor("aten::reshape", [this, shape]);
  }
  transpose(a: number, b: number): Tensor {
    return callTensor("aten::transpose.int", [this, a, b]);
  }
  permute(dims: readonly number[]): Tensor {
    return callTensor("aten::permute", [this, dims]);
  }
  contiguous(): Tensor {
    return callTensor("aten::contiguous", [this]);
  }
  unsqueeze(dim: number): Tensor {
    return callTensor("aten::unsqueeze", [this, dim]);
  }
  squeeze(dim: number): Tensor {
    return callTensor("aten::squeeze.dim", [this, dim]);
  }
  expand(shape: Shape): Tensor {
    return callTensor("aten::expand", [this, shape]);
  }
  flip(dims: readonly number[]): Tensor {
    return callTensor("aten::flip", [this, dims]);
  }
  repeatInterleave(repeats: number, dim: number): Tensor {
    return callTensor("aten::repeat_interleave.self_int", [this, repeats, dim]);
  }
  /** `length` entries of `dim` from `start`, as a view. */
  narrow(dim: number, start: number, length: number): Tensor {
    return callTensor("aten::narrow", [this, dim, start, length]);
  }
  /** One entry of `dim`, as a view without that dimension. */
  select(dim: number, index: number): Tensor {
    return callTensor("aten::select.int", [this, dim, index]);
  }
  indexSelect(dim: number, indices: Tensor): Tensor {
    return callTensor("aten::index_select", [this, dim, indices]);
  }
  gather(dim: number, indices: Tensor): Tensor {
    return callTensor("aten::gather", [this, dim, indices]);
  }
  scatter(dim: number, indices: Tensor, source: Tensor): Tensor {
    return callTensor("aten::scatter.src", [this, dim, indices, source]);
  }
  split(size: number, dim = 0): Tensor[] {
    return call("aten::split.Tensor", [this, size, dim]) as Tensor[];
  }
  tril(diagonal = 0): Tensor {
    return callTensor("aten::tril", [this, diagonal]);
  }
  triu(diagonal = 0): Tensor {
    return callTensor("aten::triu", [this, diagonal]);
  }
  diagonal(): Tensor {
    return callTensor("aten::diagonal", [this]);
  }
  /** The tensor on another device or in another dtype; itself in a new handle when it is there. */
  to(target: DType | Device): Tensor {
    return isDevice(target)
      ? callTensor("aten::to.dtype_layout", [this], { device: target })
      : callTensor("aten::to.dtype", [this, dtypeCode(target)]);
  }
  clone(): Tensor {
    return callTensor("aten::clone", [this]);
  }

  // --- networks --------------------------------------------------------------------------------

  /** Rows of `this [rows, width]` at `ids` (int64). */
  embedding(ids: Tensor): Tensor {
    return callTensor("aten::embedding", [this, ids]);
  }
  layerNorm(weight: Tensor | null, bias: Tensor | null, eps: number): Tensor {
    return callTensor("aten::layer_norm", [this, [this.size(-1)], weight, bias, eps]);
  }

  // --- linear algebra --------------------------------------------------------------------------

  /** Lower Cholesky factor; throws TensorError when the matrix is not positive definite. */
  cholesky(upper = false): Tensor {
    return callTensor("aten::linalg_cholesky", [this], { upper });
  }
  /** Inverse of the matrix whose lower Cholesky factor this is. */
  choleskyInverse(): Tensor {
    return callTensor("aten::cholesky_inverse", [this]);
  }

  // --- in place --------------------------------------------------------------------------------

  add_(other: Tensor | number, alpha = 1): this {
    callInPlace(typeof other === "number" ? "aten::add_.Scalar" : "aten::add_.Tensor", [this, other], { alpha });
    return this;
  }
  sub_(other: Tensor | number): this {
    callInPlace(typeof other === "number" ? "aten::sub_.Scalar" : "aten::sub_.Tensor", [this, other]);
    return this;
  }
  mul_(other: Tensor | number): this {
    callInPlace(typeof other === "number" ? "aten::mul_.Scalar" : "aten::mul_.Tensor", [this, other]);
    return this;
  }
  div_(other: Tensor | number): this {
    callInPlace(typeof other === "number" ? "aten::div_.Scalar" : "aten::div_.Tensor", [this, other]);
    return this;
  }
  /** Adds `a * b * value`. */
  addcmul_(a: Tensor, b: Tensor, value = 1): this {
    callInPlace("aten::addcmul_", [this, a, b], { value });
    return this;
  }
  /** Adds `a / b * value`. */
  addcdiv_(a: Tensor, b: Tensor, value = 1): this {
    callInPlace("aten::addcdiv_", [this, a, b], { value });
    return this;
  }
  /** Adds `a matmul b`. */
  addmm_(a: Tensor, b: Tensor, beta = 1, alpha = 1): this {
    callInPlace("aten::addmm_", [this, a, b], { beta, alpha });
    return this;
  }
  clamp_(min: number | null, max: number | null = null): this {
    callInPlace("aten::clamp_", [this, min, max]);
    return this;
  }
  round_(): this {
    callInPlace("aten::round_", [this]);
    return this;
  }
  copy_(source: Tensor): this {
    callInPlace("aten::copy_", [this, source]);
    return this;
  }
  fill_(value: number): this {
    callInPlace("aten::fill_.Scalar", [this, value]);
    return this;
  }
  zero_(): this {
    callInPlace("aten::zero_", [this]);
    return this;
  }
}

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

function compare(name: string, a: Tensor, b: Tensor | number): Tensor {
  return callTensor(`aten::${name}.${typeof b === "number" ? "Scalar" : "Tensor"}`, [a, b]);
}

function isDevice(target: DType | Device): target is Device {
  return target === "cpu" || target === "mps" || target.startsWith("cuda:");
}

function list(dims: Dims): readonly number[] {
  return typeof dims === "number" ? [dims] : dims;
}

function factory(options: TensorOptions): { dtype: number; device: string } {
  return { dtype: dtypeCode(options.dtype ?? "float32"), device: options.device ?? "cpu" };
}
