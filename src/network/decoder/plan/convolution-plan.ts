import type { ShortConvolutionSpec } from "../spec/decoder-spec.js";
import type { PartPlan, PartPlanner } from "./part-plan.js";

/** Linears, other tensors and sites of a gated short convolution. */
export function convolutionPlan(
  plan: PartPlanner,
  { channels, kernel, bias }: ShortConvolutionSpec,
  addsTo: string | null,
): PartPlan {
  const { hiddenSize } = plan.spec;
  return {
    layers: [
      plan.layer("convolutionIn", [3 * channels, hiddenSize], { bias }),
      plan.layer("convolutionOut", [hiddenSize, channels], { bias, addsTo }),
    ],
    norms: [],
    tensors: [
      plan.tensor("convolution", [channels, 1, kernel]),
      ...(bias ? [plan.tensor("convolutionBias", [channels])] : []),
    ],
    readers: ["convolutionIn"],
    // Rows of one part of the input alone could take a factor, and parts of a Linear are none.
    sites: [{ producer: null, consumers: ["convolutionOut"], passes: { kind: "none" } }],
  };
}
