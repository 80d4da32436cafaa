import type { Tensor } from "../tensor.js";
import { Operand } from "./operand.js";

type Dims = number | readonly number[];

/** Along dimensions: sums, extremes, orders, draws, and what normalises. */
export abstract class ReductionOperators extends Operand {
  sum(dims?: Dims, keepdim = false): Tensor {
    return dims === undefined
      ? this.operate("aten::sum", [this])
      : this.operate("aten::sum.dim_IntList", [this, list(dims), keepdim]);
  }
  mean(dims?: Dims, keepdim = false): Tensor {
    return dims === undefined
      ? this.operate("aten::mean", [this])
      : this.operate("aten::mean.dim", [this, list(dims), keepdim]);
  }
  amax(dims: Dims = [], keepdim = false): Tensor {
    return this.operate("aten::amax", [this, list(dims), keepdim]);
  }
  amin(dims: Dims = [], keepdim = false): Tensor {
    return this.operate("aten::amin", [this, list(dims), keepdim]);
  }
  argmax(dim: number, keepdim = false): Tensor {
    return this.operate("aten::argmax", [this, dim, keepdim]);
  }
  cumsum(dim: number): Tensor {
    return this.operate("aten::cumsum", [this, dim]);
  }
  /** Whether every element is true (nonzero). */
  all(): Tensor {
    return this.operate("aten::all", [this]);
  }
  any(): Tensor {
    return this.operate("aten::any", [this]);
  }
  isfinite(): Tensor {
    return this.operate("aten::isfinite", [this]);
  }
  /** Sorted values and their former places. */
  sort(dim = -1, descending = false): { values: Tensor; indices: Tensor } {
    const [values, indices] = this.operateMany("aten::sort", [this, dim, descending]) as [Tensor, Tensor];
    return { values, indices };
  }
  topk(k: number, dim = -1): { values: Tensor; indices: Tensor } {
    const [values, indices] = this.operateMany("aten::topk", [this, k, dim]) as [Tensor, Tensor];
    return { values, indices };
  }
  /** `count` places drawn with probabilities proportional to the last dimension. */
  multinomial(count: number): Tensor {
    return this.operate("aten::multinomial", [this, count]);
  }
  softmax(dim: number): Tensor {
    return this.operate("aten::softmax.int", [this, dim]);
  }
  logSoftmax(dim: number): Tensor {
    return this.operate("aten::log_softmax.int", [this, dim]);
  }
  layerNorm(weight: Tensor | null, bias: Tensor | null, eps: number): Tensor {
    return this.operate("aten::layer_norm", [this, [this.size(-1)], weight, bias, eps]);
  }
}

function list(dims: Dims): readonly number[] {
  return typeof dims === "number" ? [dims] : dims;
}
