import type { MlpSpec } from "../spec/decoder-spec.js";
import { denseMlpPlan } from "./dense-mlp-plan.js";
import { expertsPlan } from "./experts-plan.js";
import type { PartPlan, PartPlanner } from "./part-plan.js";

/** Linears, tensors and sites of a block's MLP. */
export function mlpPlan(plan: PartPlanner, mlp: MlpSpec, addsTo: string | null): PartPlan {
  return mlp.kind === "experts" ? expertsPlan(plan, mlp, addsTo) : denseMlpPlan(plan, mlp, addsTo);
}
