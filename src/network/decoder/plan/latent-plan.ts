import type { LatentAttentionSpec } from "../spec/decoder-spec.js";
import { fromNorm, type PartPlan, type PartPlanner } from "./part-plan.js";

/** Linears, norms and sites of latent attention. */
export function latentPlan(plan: PartPlanner, latent: LatentAttentionSpec, addsTo: string | null): PartPlan {
  const { heads, queryRank, rank, plainDim, rotaryDim, valueDim, bias, norm } = latent;
  const { hiddenSize } = plan.spec;
  const queries = heads * (plainDim + rotaryDim);
  const own =
    queryRank === null
      ? [plan.layer("q", [queries, hiddenSize])]
      : [plan.layer("qDown", [queryRank, hiddenSize], { bias }), plan.layer("qUp", [queries, queryRank])];
  return {
    layers: [
      ...own,
      plan.layer("kvDown", [rank + rotaryDim, hiddenSize], { bias }),
      plan.layer("kvUp", [heads * (plainDim + valueDim), rank]),
      plan.layer("o", [hiddenSize, heads * valueDim], { bias, addsTo }),
    ],
    norms: [
      ...(queryRank === null ? [] : plan.norm("qLatentNorm", norm, queryRank)),
      ...plan.norm("kvLatentNorm", norm, rank),
    ],
    tensors: [],
    readers: [queryRank === null ? "q" : "qDown", "kvDown"],
    sites: [
      ...(queryRank === null
        ? []
        : [{ producer: fromNorm("qLatentNorm"), consumers: ["qUp"], passes: { kind: "linear" } } as const]),
      { producer: fromNorm("kvLatentNorm"), consumers: ["kvUp"], passes: { kind: "linear" } },
      // The rows of values lie between those of keys.
      { producer: null, consumers: ["o"], passes: { kind: "none" } },
    ],
  };
}
