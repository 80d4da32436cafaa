import type { DeltaNetSpec, LinearRole } from "../spec/decoder-spec.js";
import type { PartPlan, PartPlanner } from "./part-plan.js";

const small = "gate of a delta net";

/** Linears, norm, other tensors and sites of a gated delta net. */
export function deltaNetPlan(plan: PartPlanner, delta: DeltaNetSpec, addsTo: string | null): PartPlan {
  const { keyHeads, valueHeads, keyDim, valueDim, kernel, fusedInputs, norm } = delta;
  const { hiddenSize } = plan.spec;
  const [keys, values] = [keyHeads * keyDim, valueHeads * valueDim];
  const inputs: readonly (readonly [LinearRole, number, boolean])[] = fusedInputs
    ? [
        ["deltaQkvz", 2 * keys + 2 * values, false],
        ["deltaBa", 2 * valueHeads, true],
      ]
    : [
        ["deltaQkv", 2 * keys + values, false],
        ["deltaZ", values, false],
        ["deltaB", valueHeads, true],
        ["deltaA", valueHeads, true],
      ];
  return {
    layers: [
      ...inputs.map(([role, rows, gate]) => plan.layer(role, [rows, hiddenSize], gate ? { protectedAs: small } : {})),
      plan.layer("deltaOut", [hiddenSize, values], { addsTo }),
    ],
    norms: plan.norm("deltaNorm", norm, valueDim),
    tensors: [
      plan.tensor("deltaConvolution", [2 * keys + values, 1, kernel]),
      plan.tensor("deltaDecay", [valueHeads]),
      plan.tensor("deltaTimeBias", [valueHeads]),
    ],
    readers: inputs.map(([role]) => role),
    // The norm's gains serve every head, and the gate comes behind it.
    sites: [{ producer: null, consumers: ["deltaOut"], passes: { kind: "none" } }],
  };
}
