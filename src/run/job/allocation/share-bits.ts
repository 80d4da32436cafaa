import { ModelError } from "../../../errors.js";
import { quantizedBits } from "../../../format/bits/bits-per-weight.js";
import { type Allocation, allocateBits, meanBits } from "../../../recipe/allocation/bit-items.js";
import { outputSensitivities } from "../../../recipe/allocation/output-sensitivities.js";
import { type LayerSchemes, resolveSchemes } from "../../../recipe/job/layer-schemes.js";
import type { RecipeJob } from "../../../recipe/job/recipe-job.js";
import type { AllocationEvent, QuantizeEvent } from "../../events/events.js";
import type { PlannedAllocation } from "../../plan/allocation/planned-allocation.js";
import { linearPlans } from "../../plan/linear-plans.js";
import type { AllocationRecord } from "../../result/result-record.js";

/** What became of a budget. */
export interface SharedBits {
  readonly bits: Allocation;
  readonly schemes: LayerSchemes;
  readonly event: AllocationEvent;
}

/** Measures what bits are worth to each Linear, and shares them out. */
export function measureAllocation(
  job: RecipeJob,
  { budget, items, schemes }: PlannedAllocation,
  emit: (event: QuantizeEvent) => void,
): { readonly bits: Readonly<Record<string, number>>; readonly loss: number } {
  if (job.recipe.shareBits !== undefined) {
    const steps = job.recipe.shareBits(job, items, budget);
    let step = steps.next();
    for (; step.done !== true; step = steps.next()) emit(step.value);
    return { bits: Object.fromEntries(step.value.bits), loss: step.value.loss };
  }
  const widths = new Map(items.flatMap(({ modules, widths }) => modules.map((module) => [module, widths] as const)));
  const steps = outputSensitivities(job, schemes, (module) => widths.get(module) ?? []);
  let step = steps.next();
  for (; step.done !== true; step = steps.next()) emit(step.value);
  const losses = step.value;
  const lossOf = (module: string, bits: number): number => {
    const loss = losses.get(module)?.get(bits) ?? Number.NaN;
    if (Number.isFinite(loss)) return loss;
    throw new ModelError({
      where: module,
      what: "what bits are worth to it is no finite number",
      why: "an activation or a gradient of the full-precision network overflows",
      next: "use --set compute.dtype=float32, or leave --bits-budget out",
    });
  };
  const allocation = allocateBits(items, budget, lossOf);
  if (allocation === null) throw new TypeError("a budget that was planned can be kept");
  const loss = [...allocation].reduce((sum, [module, bits]) => sum + lossOf(module, bits), 0);
  return { bits: Object.fromEntries(allocation), loss };
}

/** What an allocation comes to, for events and the record. */
export function sharedBits(
  job: RecipeJob,
  { budget, items }: PlannedAllocation,
  { bits, loss }: ReturnType<typeof measureAllocation>,
): SharedBits {
  const { network, scheme, options } = job;
  const schemes = resolveSchemes(network.units, scheme, options.overrides, new Map(Object.entries(bits)));
  const layouts = linearPlans(network.units, schemes).map(({ layout }) => layout);
  const weights = layouts.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
  const stored = layouts.reduce((sum, layout) => sum + quantizedBits(layout), 0);
  return {
    bits: new Map(Object.entries(bits)),
    schemes,
    event: {
      event: "allocation",
      budget,
      meanBits: meanBits(items, (module) => bits[module] ?? 0),
      bitsPerWeight: stored / Math.max(1, weights),
      loss,
      bits,
    },
  };
}

/** The same for `crossblock.json`. */
export function allocationRecord({ event: _, ...record }: AllocationEvent): AllocationRecord {
  return record;
}
