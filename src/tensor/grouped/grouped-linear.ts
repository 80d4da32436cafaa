import { differentiable } from "../autograd.js";
import { callTensor } from "../call.js";
import type { DType } from "../dtype.js";
import type { Device } from "../engine/device.js";
import { hasOperator } from "../engine/dispatch.js";
import { Tensor } from "../tensor.js";
import { groupSizes, type RowGroups } from "./row-groups.js";

/** Libtorch's grouped product, since 2.8. Its groups are a tensor: nothing waits for the device. */
const grouped = "aten::_grouped_mm";

/**
 * Rows `x [rows, in]` times the transposed matrix of their group, plus its bias: `[rows, out]`. The matrices lie stacked
 * in `weight [groups * out, in]`, biases in `bias [groups * out]`. Differentiable in `x` and `weight`.
 */
export function groupedLinear(x: Tensor, weight: Tensor, bias: Tensor | null, groups: RowGroups): Tensor {
  const out = weight.size(0) / groups.count;
  const product = groupsAtOnce(x.device, x.dtype, [out, weight.size(1)])
    ? productsAtOnce(x, weight, groups)
    : productsInTurn(x, weight, groups);
  return bias === null ? product : product.add(bias.reshape([groups.count, out]).indexSelect(0, groups.ids));
}

/**
 * Whether the products of all groups with matrices `[out, in]` are one kernel there; else they are computed one after the other,
 * and wait for the device.
 */
export function groupsAtOnce(device: Device, dtype: DType, [out, columns]: readonly [number, number]): boolean {
  // Rows have to begin at multiples of 16 bytes.
  const aligned = out % 8 === 0 && columns % 8 === 0;
  return device.startsWith("cuda:") && dtype === "bfloat16" && aligned && hasOperator(grouped);
}

/** All groups in one kernel; see `groupsAtOnce`. */
function productsAtOnce(x: Tensor, weight: Tensor, { count, ends }: RowGroups): Tensor {
  const stacked = (w: Tensor): Tensor => w.reshape([count, w.size(0) / count, w.size(1)]);
  const [needsX, needsWeight] = [x.requiresGrad, weight.requiresGrad];
  return differentiable(
    [x, weight],
    () => ({ output: callTensor(grouped, [x, stacked(weight).transpose(1, 2), ends]), saved: [x, weight, ends] }),
    (gradient, [input, w, offsets]) => {
      const dy = gradient.contiguous();
      const [rows, matrix] = [input as Tensor, w as Tensor];
      const dx = needsX ? callTensor(grouped, [dy, stacked(matrix), offsets as Tensor]) : null;
      if (!needsWeight) return [dx, null];
      const dw = callTensor(grouped, [dy.transpose(0, 1), rows.contiguous(), offsets as Tensor]);
      return [dx, dw.reshape([matrix.size(0), matrix.size(1)])];
    },
  );
}

/** One product after the other: for the CPU, and for devices without the kernel, which it waits for. */
export function productsInTurn(x: Tensor, weight: Tensor, groups: RowGroups): Tensor {
  const { count } = groups;
  const out = weight.size(0) / count;
  const sizes = groupSizes(groups);
  const each = (body: (first: number, size: number, group: number) => void): void => {
    let first = 0;
    for (const [group, size] of sizes.entries()) {
      if (size > 0) body(first, size, group);
      first += size;
    }
  };
  const [needsX, needsWeight] = [x.requiresGrad, weight.requiresGrad];
  const matrixOf = (w: Tensor, group: number): Tensor => w.narrow(0, group * out, out);

  return differentiable(
    [x, weight],
    () => {
      const output = Tensor.empty([x.size(0), out], { dtype: x.dtype, device: x.device });
      each((first, size, group) => {
        output.narrow(0, first, size).copy_(x.narrow(0, first, size).linear(matrixOf(weight, group)));
      });
      return { output, saved: [x, weight] };
    },
    (gradient, [input, w]) => {
      const [rows, matrix] = [input as Tensor, w as Tensor];
      const like = (of: Tensor): { dtype: DType; device: Device } => ({ dtype: of.dtype, device: of.device });
      const dx = needsX ? Tensor.empty(rows.shape, like(rows)) : null;
      // A group without rows has no gradient.
      const dw = needsWeight ? Tensor.zeros(matrix.shape, like(matrix)) : null;
      each((first, size, group) => {
        const dy = gradient.narrow(0, first, size);
        dx?.narrow(0, first, size).copy_(dy.matmul(matrixOf(matrix, group)));
        dw?.narrow(0, group * out, out).copy_(dy.transpose(0, 1).matmul(rows.narrow(0, first, size)));
      });
      return [dx, dw];
    },
  );
}
