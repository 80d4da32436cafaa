import type { Tensor } from "../tensor.js";
import { Operand } from "./operand.js";

/** Operators that end in an underscore: they change the tensor and return it. */
export abstract class InPlaceOperators extends Operand {
  add_(other: Tensor | number, alpha = 1): this {
    return this.change(typeof other === "number" ? "aten::add_.Scalar" : "aten::add_.Tensor", [this, other], { alpha });
  }
  sub_(other: Tensor | number): this {
    return this.change(typeof other === "number" ? "aten::sub_.Scalar" : "aten::sub_.Tensor", [this, other]);
  }
  mul_(other: Tensor | number): this {
    return this.change(typeof other === "number" ? "aten::mul_.Scalar" : "aten::mul_.Tensor", [this, other]);
  }
  div_(other: Tensor | number): this {
    return this.change(typeof other === "number" ? "aten::div_.Scalar" : "aten::div_.Tensor", [this, other]);
  }
  /** Adds `a * b * value`. */
  addcmul_(a: Tensor, b: Tensor, value = 1): this {
    return this.change("aten::addcmul_", [this, a, b], { value });
  }
  /** Adds `a / b * value`. */
  addcdiv_(a: Tensor, b: Tensor, value = 1): this {
    return this.change("aten::addcdiv_", [this, a, b], { value });
  }
  /** Adds `a matmul b`. */
  addmm_(a: Tensor, b: Tensor, beta = 1, alpha = 1): this {
    return this.change("aten::addmm_", [this, a, b], { beta, alpha });
  }
  clamp_(min: number | null, max: number | null = null): this {
    return this.change("aten::clamp_", [this, min, max]);
  }
  round_(): this {
    return this.change("aten::round_", [this]);
  }
  copy_(source: Tensor): this {
    return this.change("aten::copy_", [this, source]);
  }
  fill_(value: number): this {
    return this.change("aten::fill_.Scalar", [this, value]);
  }
  zero_(): this {
    return this.change("aten::zero_", [this]);
  }
}
