import type { PortStore } from "../../calibration/port-store.js";
import type { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import type { RecipeEvent } from "../job/recipe-job.js";
import { countExpertTokens } from "../measure/expert-tokens.js";
import type { UnitWork, WindowWork } from "../recipe.js";
import type { LayerRule } from "./layer-rule.js";
import { quantizeSite } from "./quantize-site.js";

/**
 * Chooses the codes of a window's Linears one by one, by a rule that looks at a weight and the second moments of its
 * inputs. Linears that share an input share its moments, and each group of them sees the groups before it quantized.
 */
export function* columns({ blocks, input, ...work }: WindowWork, rule: LayerRule): Generator<RecipeEvent, boolean> {
  for (const block of blocks) yield* chooseColumns(work, block, input, rule);
  return true;
}

/** The same for one block, on a stream at its input. */
export function* chooseColumns(
  { job, parts, warnings }: Pick<UnitWork, "job" | "parts" | "warnings">,
  block: QuantizedUnit,
  input: PortStore | null,
  rule: LayerRule,
): Generator<RecipeEvent, void> {
  const tokens = rule.needsMoments && input !== null ? countExpertTokens(block, input, { job, parts, warnings }) : null;
  for (const site of block.plan.sites) {
    job.poll();
    const stage = `${site.consumers.join(", ")} of block`;
    yield { event: "progress", stage, done: block.index + 1, total: job.network.units.length };
    yield* quantizeSite(job, block, site, input, parts, rule, tokens?.through);
    yield* warnings.splice(0);
  }
}
