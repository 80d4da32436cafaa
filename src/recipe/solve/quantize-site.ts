import type { PortStore } from "../../calibration/port-store.js";
import { readersOf, type Site } from "../../network/index.js";
import type { Codes } from "../../quant/grid/grid.js";
import type { SecondMoments } from "../../quant/second-moments.js";
import type { QuantizedLayer } from "../../reconstruct/quantized-layer.js";
import type { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import type { SequenceParts } from "../../reconstruct/sequence-parts.js";
import { isFiniteTensor, scope, type Tensor, TensorError } from "../../tensor/index.js";
import type { RecipeJob, WarningEvent } from "../job/recipe-job.js";
import { collectInputMoments } from "../measure/input-moments.js";
import { type InputMoments, SiteMoments } from "../measure/site-moments.js";
import { chooseEach } from "./each-expert.js";
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
  through: readonly number[] = [],
): Generator<WarningEvent, void> {
  for (const readers of readersOf(block.plan, site)) {
    const names = readers.filter((name) => block.layers.has(name));
    const [first] = names;
    if (first === undefined) continue;
    using sums = new SiteMoments(job.device, through);
    if (rule.needsMoments && stream !== null) collectInputMoments(job, block, first, stream, parts, sums, through);
    const moments = sums.of(first);
    for (const name of names) {
      const layer = block.layers.get(name) as QuantizedLayer;
      yield* scope(() => hardenBy(job, rule, block.exactWeight(name).to("float32"), layer, moments));
    }
  }
}

function hardenBy(
  job: RecipeJob,
  rule: LayerRule,
  weight: Tensor,
  layer: QuantizedLayer,
  moments: InputMoments | null,
): WarningEvent[] {
  const nearest: number[] = [];
  const codes = chooseEach(weight, moments, (own, sums, expert) => {
    const chosen = sums === null || isFiniteTensor(sums.matrix) ? finiteCodes(rule, own, layer, sums) : null;
    if (chosen === null) nearest.push(expert);
    return chosen ?? nearestRule(job.options).choose(own, layer, null);
  });
  layer.harden(codes);
  if (nearest.length === 0) return [];
  const whose = layer.experts === 1 ? "the weight is" : `the weights of the experts ${nearest.join(", ")} are`;
  return [
    {
      event: "warning",
      message: `${rule.name} finds no finite codes: ${whose} rounded to nearest`,
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
