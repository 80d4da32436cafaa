import type { Tensor } from "../tensor.js";
import { Operand } from "./operand.js";

/** Matrices: products, triangles and factors. */
export abstract class MatrixOperators extends Operand {
  matmul(other: Tensor): Tensor {
    return this.operate("aten::matmul", [this, other]);
  }
  /** `this [..., in]` times `weight [out, in]` transposed, plus `bias [out]`. */
  linear(weight: Tensor, bias: Tensor | null = null): Tensor {
    return this.operate("aten::linear", [this, weight, bias]);
  }
  outer(other: Tensor): Tensor {
    return this.operate("aten::outer", [this, other]);
  }
  tril(diagonal = 0): Tensor {
    return this.operate("aten::tril", [this, diagonal]);
  }
  triu(diagonal = 0): Tensor {
    return this.operate("aten::triu", [this, diagonal]);
  }
  diagonal(): Tensor {
    return this.operate("aten::diagonal", [this]);
  }
  /** Lower Cholesky factor; throws TensorError when the matrix is not positive definite. */
  cholesky(upper = false): Tensor {
    return this.operate("aten::linalg_cholesky", [this], { upper });
  }
  /** Inverse of the matrix whose lower Cholesky factor this is. */
  choleskyInverse(): Tensor {
    return this.operate("aten::cholesky_inverse", [this]);
  }
}
