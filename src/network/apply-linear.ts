import { groupedLinear, type RowGroups, type Tensor } from "../tensor/index.js";
import type { Hooks } from "./unit.js";
import { type LinearProduct, type LinearWeights, linearOf, type UnitWeights } from "./unit-weights.js";

/**
 * Computes the Linear of a unit of this name, as the hooks want it: what every kind of unit calls for its products.
 *
 * @param how `groups`: the experts that the rows of the input belong to; `own`: what its weight does to its input, where that is not
 * `x W^T + b`: a convolution
 */
export function applyLinear(
  weights: UnitWeights,
  { observe, product }: Hooks,
  name: string,
  input: Tensor,
  { groups, own }: { readonly groups?: RowGroups | undefined; readonly own?: LinearProduct } = {},
): Tensor {
  const found = linearOf(weights, name);
  const linear = own === undefined ? found : { ...found, product: own };
  observe?.(name, input, linear, groups);
  return product?.(name, input, linear, groups) ?? multiplied(input, linear.weight, linear, groups);
}

/** The product of a Linear with another weight in place of its own: `x W^T + b`, of a stack of experts that of the expert of each row of `x`. */
export function multiplied(
  input: Tensor,
  weight: Tensor,
  { bias, product }: Pick<LinearWeights, "bias" | "product">,
  groups?: RowGroups,
): Tensor {
  if (groups !== undefined) return groupedLinear(input, weight, bias, groups);
  return product === undefined ? input.linear(weight, bias) : product.multiply(input, weight, bias);
}

/** What of an input the rows of a Linear's weight are multiplied with, `[..., in]`. */
export function inputRows(input: Tensor, { product }: Pick<LinearWeights, "product">): Tensor {
  return product === undefined ? input : product.rows(input);
}
