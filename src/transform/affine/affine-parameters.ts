import { layerOf, normOf, type UnitPlan } from "../../network/index.js";
import type { AffineOptions } from "./affine-transform.js";

/** How many numbers `AffineTransform` trains of a unit all of whose Linears are quantized. */
export function affineParameters(
  unit: UnitPlan,
  { alpha, shift, queryKey, down, norms }: Omit<AffineOptions, "exponent" | "storedType">,
): number {
  const ofSites = unit.sites.map(({ producer, consumers, passes }) => {
    if (producer === null || passes.kind === "none") return 0;
    if (passes.kind === "heads") {
      const { groups, width, mixes } = passes;
      return mixes ? matrices(groups, width, alpha) : groups * width;
    }
    if (producer.kind === "layer") return down ? layerOf(unit, producer.name).rows : 0;
    const { bias, width } = normOf(unit, producer.name);
    const shifts = shift && bias && consumers.every((name) => layerOf(unit, name).bias);
    const mixing = norms === "matrix" && alpha > 0 ? width ** 2 : 0;
    return (shifts ? 2 * width : width) + mixing;
  });
  return [...ofSites, queryKey ? ofScores(unit, alpha) : 0].reduce((sum, count) => sum + count, 0);
}

function ofScores({ attention }: UnitPlan, alpha: number): number {
  if (attention === undefined || attention.scores === "none") return 0;
  const { kvHeads, headDim, scores } = attention;
  if (scores === "any") return matrices(kvHeads, headDim, alpha);
  return (kvHeads * headDim * (alpha > 0 ? 2 : 1)) / 2;
}

function matrices(count: number, width: number, alpha: number): number {
  return count * width * (alpha > 0 ? width + 1 : 1);
}
