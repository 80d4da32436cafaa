import type { PortStore } from "../../calibration/port-store.js";
import type { Site } from "../../network/index.js";
import type { Codes } from "../../quant/grid/grid.js";
import type { SecondMoments } from "../../quant/second-moments.js";
import type { QuantizedLayer } from "../../reconstruct/quantized-layer.js";
import type { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import type { SequenceParts } from "../../reconstruct/sequence-parts.js";
import { isFiniteTensor, scope, type Tensor, TensorError } from "../../tensor/index.js";
import type { RecipeJob, WarningEvent } from "../job/recipe-job.js";
import { collectInputMoments } from "../measure/input-moments.js";
import { SiteMoments } from "../measure/site-moments.js";
import { type LayerRule, nearestRule } from "./layer-rule.js";

/**
 * Chooses the codes of the Linears that share an input, by a rule, on the stream at the block's input
 * as the Linears before them, hard already, leave it. Where the rule finds no finite codes, the weight
 * is rounded to nearest, and a warning says so.
 */
export function* quantizeSite(
  job: RecipeJob,
  block: QuantizedUnit,
  site: Site,
  stream: PortStore | null,
  parts: SequenceParts,
  rule: LayerRule,
): Generator<WarningEvent, void> {
  const names = site.consumers.filter((name) => block.layers.has(name));
  const [first] = names;
  if (first === undefined) return;
  using sums = new SiteMoments(job.device);
  if (rule.needsMoments && stream !== null) collectInputMoments(job, block, first, stream, parts, sums);
  const moments = sums.of(first);
  for (const name of names) {
    const layer = block.layers.get(name) as QuantizedLayer;
    yield* scope(() => hardenBy(job, rule, block.exactWeight(name).to("float32"), layer, moments));
  }
}

function hardenBy(
  job: RecipeJob,
  rule: LayerRule,
  weight: Tensor,
  layer: QuantizedLayer,
  moments: SecondMoments | null,
): WarningEvent[] {
  const chosen = moments === null || isFiniteTensor(moments.matrix) ? finiteCodes(rule, weight, layer, moments) : null;
  layer.harden(chosen ?? nearestRule(job.options).choose(weight, layer, null));
  if (chosen !== null) return [];
  return [
    {
      event: "warning",
      message: `${rule.name} finds no finite codes: the weight is rounded to nearest`,
      where: layer.name,
      next: "look for values that overflow in this layer, or leave it out with an override (skip)",
    },
  ];
}

function finiteCodes(
  rule: LayerRule,
  weight: Tensor,
  layer: QuantizedLayer,
  moments: SecondMoments | null,
): Codes | null {
  try {
    const codes = rule.choose(weight, layer, moments);
    return [codes.codes, codes.scale, codes.zeroPoint].every(isFiniteTensor) ? codes : null;
  } catch (error) {
    // A Cholesky factor that no damping makes possible.
    if (error instanceof TensorError && error.code === "OPERATOR") return null;
    throw error;
  }
}
