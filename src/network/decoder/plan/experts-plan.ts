import type { ExpertsSpec } from "../spec/experts/experts-spec.js";
import { denseMlpPlan } from "./dense-mlp-plan.js";
import { fromLayer, fromNorm, type PartPlan, type PartPlanner } from "./part-plan.js";

/** Linears, tensors and sites of a mixture of experts, and of the MLPs beside them. */
export function expertsPlan(plan: PartPlanner, spec: ExpertsSpec, addsTo: string | null): PartPlan {
  const { hiddenSize } = plan.spec;
  const { count, perToken, width, bias, router, shared, beside } = spec;
  const stack = { experts: count, perToken, bias } as const;
  const dense = beside === null ? null : denseMlpPlan(plan, beside, null);
  // What several parts add up to is normalised before it is added.
  const adds = beside === null ? addsTo : null;
  const gated = { kind: "linear" } as const;
  const own = [
    plan.layer("router", [count, hiddenSize], { bias: router.bias, protectedAs: "router" }),
    plan.layer("expertGate", [count * width, hiddenSize], stack),
    plan.layer("expertUp", [count * width, hiddenSize], stack),
    plan.layer("expertDown", [count * hiddenSize, width], { ...stack, addsTo: adds }),
    ...(shared === null
      ? []
      : [
          plan.layer("sharedGate", [shared.width, hiddenSize], { bias: shared.bias }),
          plan.layer("sharedUp", [shared.width, hiddenSize], { bias: shared.bias }),
          plan.layer("sharedDown", [hiddenSize, shared.width], { bias: shared.bias, addsTo: adds }),
          ...(shared.gate
            ? [plan.layer("sharedExpertGate", [1, hiddenSize], { protectedAs: "gate of a shared expert" })]
            : []),
        ]),
  ];
  const readers = own
    .filter(({ name }) => !name.endsWith("Down"))
    .map(({ name }) => name as PartPlan["readers"][number]);
  const experts = readers.filter((name) => !(router.readsStream && name === "router"));
  return {
    layers: [...(dense?.layers ?? []), ...own],
    norms: [],
    tensors: [
      ...(router.correction
        ? [plan.tensor("routerCorrection", router.correctionRow === true ? [1, count] : [count])]
        : []),
      ...(router.readsStream ? [plan.tensor("routerScale", [hiddenSize])] : []),
      ...(router.expertScale ? [plan.tensor("expertScale", [count])] : []),
    ],
    readers: dense?.readers ?? experts,
    sites: [
      ...(dense?.sites ?? []),
      ...(dense === null ? [] : [{ producer: fromNorm("expertsNorm"), consumers: experts, passes: gated } as const]),
      ...(router.readsStream ? [{ producer: null, consumers: ["router"], passes: { kind: "none" } } as const] : []),
      // Each expert has channels of its own, and all read the columns of one stack.
      { producer: null, consumers: ["expertDown"], passes: { kind: "none" } },
      ...(shared === null
        ? []
        : [{ producer: fromLayer("sharedUp"), consumers: ["sharedDown"], passes: gated } as const]),
    ],
  };
}
