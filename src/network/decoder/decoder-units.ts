import type { Site } from "../site.js";
import type { UnitPlan } from "../unit.js";
import { attentionFactors } from "./plan/attention-plan.js";
import { mixerPlan } from "./plan/mixer-plan.js";
import { mlpPlan } from "./plan/mlp-plan.js";
import { fromNorm, HIDDEN, type PartPlan, PartPlanner } from "./plan/part-plan.js";
import { type BlockSpec, blockOf, type DecoderSpec, type NormRole } from "./spec/decoder-spec.js";

export { HIDDEN };

/** The blocks of a decoder as units. */
export function decoderUnits(spec: DecoderSpec): readonly UnitPlan[] {
  return spec.blocks.map((_, block) => decoderUnit(spec, block));
}

function decoderUnit(spec: DecoderSpec, block: number): UnitPlan {
  const own = blockOf(spec, block);
  const { norms, attention: mixer, outputScalar } = own;
  const plan = new PartPlanner(spec, block);
  const added = (post: NormRole): string | null => (norms[post] === undefined ? HIDDEN : null);
  const attention = mixerPlan(plan, mixer, added("attentionPostNorm"));
  const mlp = mlpPlan(plan, own.mlp, added("mlpPostNorm"));
  const factors = mixer.kind === "softmax" ? attentionFactors(mixer) : undefined;
  const streamNorms = (Object.keys(norms) as NormRole[]).flatMap((role) =>
    plan.norm(role, norms[role], spec.hiddenSize),
  );
  return {
    index: block,
    layers: [...attention.layers, ...mlp.layers],
    norms: [...streamNorms, ...attention.norms, ...mlp.norms],
    tensors: [...attention.tensors, ...mlp.tensors, ...(outputScalar ? [plan.tensor("outputScalar", [1])] : [])],
    sites: sitesOf(own, attention, mlp),
    writes: [HIDDEN],
    ...(factors !== undefined && { attention: factors }),
  };
}

// A parallel block without a norm of its own for the MLP gives both sublayers one input.
function sitesOf({ arrangement, norms }: BlockSpec, attention: PartPlan, mlp: PartPlan): readonly Site[] {
  const shared = arrangement === "parallel" && norms.mlpNorm === undefined;
  const input = (role: NormRole, consumers: PartPlan["readers"]): Site =>
    norms[role] === undefined || norms[role].gain === "none"
      ? { producer: null, consumers, passes: { kind: "none" } }
      : { producer: fromNorm(role), consumers, passes: { kind: "linear" } };
  if (shared) {
    return [input("attentionNorm", [...attention.readers, ...mlp.readers]), ...attention.sites, ...mlp.sites];
  }
  return [input("attentionNorm", attention.readers), ...attention.sites, input("mlpNorm", mlp.readers), ...mlp.sites];
}
