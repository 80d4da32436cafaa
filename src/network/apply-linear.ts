import { groupedLinear, type RowGroups, type Tensor } from "../tensor/index.js";
import type { Hooks } from "./unit.js";
import { type LinearWeights, linearOf, type UnitWeights } from "./unit-weights.js";

/** Computes the Linear of a unit of this name, as the hooks want it: what every kind of unit calls for its products. */
export function applyLinear(
  weights: UnitWeights,
  { observe, product }: Hooks,
  name: string,
  input: Tensor,
  groups?: RowGroups,
): Tensor {
  const linear = linearOf(weights, name);
  observe?.(name, input, groups);
  return product?.(name, input, linear, groups) ?? multiply(input, linear, groups);
}

/** `x W^T + b`; of a stack of experts that of the expert which each row of `x` belongs to. */
export function multiply(x: Tensor, { weight, bias }: LinearWeights, groups?: RowGroups): Tensor {
  return groups === undefined ? x.linear(weight, bias) : groupedLinear(x, weight, bias, groups);
}
