import type { Tensor } from "../tensor/index.js";
import type { Hooks } from "./unit.js";
import { linearOf, type UnitWeights } from "./unit-weights.js";

/** Computes the Linear of a unit of this name, as the hooks want it: what every kind of unit calls for its products. */
export function applyLinear(weights: UnitWeights, { observe, product }: Hooks, name: string, input: Tensor): Tensor {
  const linear = linearOf(weights, name);
  observe?.(name, input);
  return product?.(name, input, linear) ?? input.linear(linear.weight, linear.bias);
}
