import { OwnedTensor } from "../owned-tensor.js";
import type { Tensor } from "../tensor.js";
import { Operand } from "./operand.js";

/** Each element by itself: arithmetic, activations, and comparisons, which give bool tensors. */
export abstract class ElementwiseOperators extends Operand {
  add(other: Tensor | number): Tensor {
    return typeof other === "number"
      ? this.operate("aten::add.Scalar", [this, other])
      : this.operate("aten::add.Tensor", [this, other]);
  }
  sub(other: Tensor | number): Tensor {
    return typeof other === "number"
      ? this.operate("aten::sub.Scalar", [this, other])
      : this.operate("aten::sub.Tensor", [this, other]);
  }
  mul(other: Tensor | number): Tensor {
    return typeof other === "number"
      ? this.operate("aten::mul.Scalar", [this, other])
      : this.operate("aten::mul.Tensor", [this, other]);
  }
  div(other: Tensor | number): Tensor {
    return typeof other === "number"
      ? this.operate("aten::div.Scalar", [this, other])
      : this.operate("aten::div.Tensor", [this, other]);
  }
  pow(exponent: number | Tensor): Tensor {
    return typeof exponent === "number"
      ? this.operate("aten::pow.Tensor_Scalar", [this, exponent])
      : this.operate("aten::pow.Tensor_Tensor", [this, exponent]);
  }
  maximum(other: Tensor): Tensor {
    return this.operate("aten::maximum", [this, other]);
  }
  minimum(other: Tensor): Tensor {
    return this.operate("aten::minimum", [this, other]);
  }
  /** Elements limited to `[min, max]`; either bound may be null. */
  clamp(min: number | Tensor | null, max: number | Tensor | null = null): Tensor {
    return min instanceof OwnedTensor || max instanceof OwnedTensor
      ? this.operate("aten::clamp.Tensor", [this, min, max])
      : this.operate("aten::clamp", [this, min, max]);
  }
  neg(): Tensor {
    return this.operate("aten::neg", [this]);
  }
  abs(): Tensor {
    return this.operate("aten::abs", [this]);
  }
  sign(): Tensor {
    return this.operate("aten::sign", [this]);
  }
  square(): Tensor {
    return this.operate("aten::square", [this]);
  }
  sqrt(): Tensor {
    return this.operate("aten::sqrt", [this]);
  }
  rsqrt(): Tensor {
    return this.operate("aten::rsqrt", [this]);
  }
  reciprocal(): Tensor {
    return this.operate("aten::reciprocal", [this]);
  }
  exp(): Tensor {
    return this.operate("aten::exp", [this]);
  }
  log(): Tensor {
    return this.operate("aten::log", [this]);
  }
  cos(): Tensor {
    return this.operate("aten::cos", [this]);
  }
  sin(): Tensor {
    return this.operate("aten::sin", [this]);
  }
  floor(): Tensor {
    return this.operate("aten::floor", [this]);
  }
  /** To the nearest integer, halves to even. */
  round(): Tensor {
    return this.operate("aten::round", [this]);
  }

  sigmoid(): Tensor {
    return this.operate("aten::sigmoid", [this]);
  }
  tanh(): Tensor {
    return this.operate("aten::tanh", [this]);
  }
  relu(): Tensor {
    return this.operate("aten::relu", [this]);
  }
  silu(): Tensor {
    return this.operate("aten::silu", [this]);
  }
  gelu(approximate: "none" | "tanh" = "none"): Tensor {
    return this.operate("aten::gelu", [this], { approximate });
  }

  lt(other: Tensor | number): Tensor {
    return this.compare("lt", other);
  }
  le(other: Tensor | number): Tensor {
    return this.compare("le", other);
  }
  gt(other: Tensor | number): Tensor {
    return this.compare("gt", other);
  }
  ge(other: Tensor | number): Tensor {
    return this.compare("ge", other);
  }
  eq(other: Tensor | number): Tensor {
    return this.compare("eq", other);
  }
  logicalAnd(other: Tensor): Tensor {
    return this.operate("aten::logical_and", [this, other]);
  }
  logicalNot(): Tensor {
    return this.operate("aten::logical_not", [this]);
  }
  maskedFill(mask: Tensor, value: number): Tensor {
    return this.operate("aten::masked_fill.Scalar", [this, mask, value]);
  }

  private compare(name: string, other: Tensor | number): Tensor {
    return this.operate(`aten::${name}.${typeof other === "number" ? "Scalar" : "Tensor"}`, [this, other]);
  }
}
