import { type DType, dtypeCode } from "../dtype.js";
import type { Device } from "../engine/device.js";
import type { Shape } from "../owned-tensor.js";
import type { Tensor } from "../tensor.js";
import { Operand } from "./operand.js";

/** The same elements in another shape, order, place or dtype, and some of them. */
export abstract class ShapeOperators extends Operand {
  reshape(shape: Shape): Tensor {
    return this.operate("aten::reshape", [this, shape]);
  }
  transpose(a: number, b: number): Tensor {
    return this.operate("aten::transpose.int", [this, a, b]);
  }
  permute(dims: readonly number[]): Tensor {
    return this.operate("aten::permute", [this, dims]);
  }
  contiguous(): Tensor {
    return this.operate("aten::contiguous", [this]);
  }
  unsqueeze(dim: number): Tensor {
    return this.operate("aten::unsqueeze", [this, dim]);
  }
  squeeze(dim: number): Tensor {
    return this.operate("aten::squeeze.dim", [this, dim]);
  }
  expand(shape: Shape): Tensor {
    return this.operate("aten::expand", [this, shape]);
  }
  flip(dims: readonly number[]): Tensor {
    return this.operate("aten::flip", [this, dims]);
  }
  repeatInterleave(repeats: number, dim: number): Tensor {
    return this.operate("aten::repeat_interleave.self_int", [this, repeats, dim]);
  }
  /** `length` entries of `dim` from `start`, as a view. */
  narrow(dim: number, start: number, length: number): Tensor {
    return this.operate("aten::narrow", [this, dim, start, length]);
  }
  /** One entry of `dim`, as a view without that dimension. */
  select(dim: number, index: number): Tensor {
    return this.operate("aten::select.int", [this, dim, index]);
  }
  indexSelect(dim: number, indices: Tensor): Tensor {
    return this.operate("aten::index_select", [this, dim, indices]);
  }
  gather(dim: number, indices: Tensor): Tensor {
    return this.operate("aten::gather", [this, dim, indices]);
  }
  scatter(dim: number, indices: Tensor, source: Tensor): Tensor {
    return this.operate("aten::scatter.src", [this, dim, indices, source]);
  }
  split(size: number, dim = 0): Tensor[] {
    return this.operateMany("aten::split.Tensor", [this, size, dim]);
  }
  /** The tensor on another device or in another dtype; itself in a new handle when it is there. */
  to(target: DType | Device): Tensor {
    return isDevice(target)
      ? this.operate("aten::to.dtype_layout", [this], { device: target })
      : this.operate("aten::to.dtype", [this, dtypeCode(target)]);
  }
  clone(): Tensor {
    return this.operate("aten::clone", [this]);
  }
  /** Rows of `this [rows, width]` at `ids` (int64). */
  embedding(ids: Tensor): Tensor {
    return this.operate("aten::embedding", [this, ids]);
  }
}

function isDevice(target: DType | Device): target is Device {
  return target === "cpu" || target === "mps" || target.startsWith("cuda:");
}
