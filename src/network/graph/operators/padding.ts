import { callTensor, Tensor } from "../../../tensor/index.js";
import type { NodeCall } from "./operator.js";

/** Numbers of elements that are added before and after each spatial dimension; fewer than none cut. */
export type Pads = readonly (readonly [before: number, after: number])[];

/** The pads of a convolution or a pool, where the node gives them and where it asks for the same size. */
export function effectivePads(
  call: NodeCall,
  size: readonly number[],
  kernel: readonly number[],
  strides: readonly number[],
  dilations: readonly number[],
): Pads {
  const { attributes } = call;
  const auto = attributes.string("auto_pad", "NOTSET");
  if (auto === "SAME_UPPER" || auto === "SAME_LOWER") {
    return size.map((n, i) => {
      const stride = strides[i] ?? 1;
      const reach = ((kernel[i] ?? 1) - 1) * (dilations[i] ?? 1) + 1;
      const total = Math.max(0, (Math.ceil(n / stride) - 1) * stride + reach - n);
      const less = Math.floor(total / 2);
      return auto === "SAME_UPPER" ? [less, total - less] : [total - less, less];
    });
  }
  const pads = auto === "VALID" ? null : attributes.ints("pads");
  return size.map((_, i) => [pads?.[i] ?? 0, pads?.[i + size.length] ?? 0]);
}

/** One number for each dimension where both sides have the same, not below 0; null otherwise. */
export function symmetricPads(pads: Pads): readonly number[] | null {
  return pads.every(([before, after]) => before === after && before >= 0) ? pads.map(([before]) => before) : null;
}

/** The last dimensions of `x`, as many as there are pads, padded with a value. */
export function padded(x: Tensor, pads: Pads, value: number): Tensor {
  return callTensor("aten::constant_pad_nd", [x, [...pads].reverse().flat(), value]);
}

/** `x` with the entries of a dimension that `indices` names, in their order. The indices are kept for the next run. */
export function picked(call: NodeCall, x: Tensor, dim: number, indices: readonly number[]): Tensor {
  const at = call.constant(`${x.device}:${indices.join()}`, () =>
    Tensor.from(BigInt64Array.from(indices, BigInt)).to(x.device),
  );
  return x.indexSelect(dim, at);
}
