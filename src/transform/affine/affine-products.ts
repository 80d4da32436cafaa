import { normOf, type UnitPlan } from "../../network/index.js";
import type { AffineOptions } from "./affine-transform.js";
import { INVERSE_PRODUCTS } from "./inverse.js";

/** Operations of fp32 that take as long as one of fp64 on a CPU. */
const WIDE = 2;

/**
 * Operations of fp32 products that a step's matrices behind norms take as long as: each Linear that reads one makes its inverse, and the
 * gradient of that is two products more. Those of heads are small.
 */
export function affineProducts(unit: UnitPlan, { norms, alpha }: Pick<AffineOptions, "norms" | "alpha">): number {
  if (norms === "diagonal" || alpha === 0) return 0;
  return unit.sites.reduce((sum, { producer, consumers }) => {
    if (producer?.kind !== "norm") return sum;
    return sum + consumers.length * WIDE * (INVERSE_PRODUCTS + 2) * 2 * normOf(unit, producer.name).width ** 3;
  }, 0);
}
