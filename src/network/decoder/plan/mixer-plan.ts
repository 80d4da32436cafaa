import type { MixerSpec } from "../spec/decoder-spec.js";
import { attentionPlan } from "./attention-plan.js";
import { convolutionPlan } from "./convolution-plan.js";
import { deltaNetPlan } from "./delta-net-plan.js";
import { latentPlan } from "./latent-plan.js";
import type { PartPlan, PartPlanner } from "./part-plan.js";

/** Linears, norms, other tensors and sites of what mixes the positions in a block. */
export function mixerPlan(plan: PartPlanner, mixer: MixerSpec, addsTo: string | null): PartPlan {
  switch (mixer.kind) {
    case "softmax":
      return attentionPlan(plan, mixer, addsTo);
    case "latent":
      return latentPlan(plan, mixer, addsTo);
    case "delta":
      return deltaNetPlan(plan, mixer, addsTo);
    case "convolution":
      return convolutionPlan(plan, mixer, addsTo);
  }
}
