import type { BranchLoss } from "../job/recipe-job.js";
import type { Target } from "../recipe.js";

/** The losses of a window against its targets, in their order, as events have them. */
export function branchLoss(losses: readonly number[], targets: readonly Target[]): BranchLoss {
  const of = (kind: Target): number | null => losses[targets.indexOf(kind)] ?? null;
  return {
    total: losses.reduce((sum, loss) => sum + loss, 0),
    fullPrecision: of("full"),
    quantized: of("fullOfQuantized"),
  };
}
