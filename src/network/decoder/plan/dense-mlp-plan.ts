import type { Passage } from "../../site.js";
import type { DenseMlpSpec, XieluRole } from "../spec/decoder-spec.js";
import { fromLayer, type PartPlan, type PartPlanner } from "./part-plan.js";

const xieluNumbers: readonly (readonly [XieluRole, readonly number[]])[] = [
  ["xieluPositive", [1]],
  ["xieluNegative", [1]],
  ["xieluBeta", []],
  ["xieluEps", []],
];

/** Linears and sites of an MLP that every token passes. */
export function denseMlpPlan(plan: PartPlanner, mlp: DenseMlpSpec, addsTo: string | null): PartPlan {
  const { hiddenSize } = plan.spec;
  const { bias, width } = mlp;
  const gated = mlp.kind === "gated";
  return {
    layers: [
      ...(gated ? [plan.layer("gate", [width, hiddenSize], { bias })] : []),
      plan.layer("up", [width, hiddenSize], { bias }),
      plan.layer("down", [hiddenSize, width], { bias, addsTo }),
    ],
    norms: [],
    tensors: mlp.activation === "xielu" ? xieluNumbers.map(([role, shape]) => plan.tensor(role, shape)) : [],
    readers: gated ? ["gate", "up"] : ["up"],
    sites: [{ producer: fromLayer("up"), consumers: ["down"], passes: passage(mlp) }],
  };
}

// A gate multiplies what `up` gives.
function passage({ kind, activation }: DenseMlpSpec): Passage {
  if (kind === "gated") return { kind: "linear" };
  return activation === "relu" ? { kind: "positive" } : { kind: "none" };
}
