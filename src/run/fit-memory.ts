import { OptionError } from "../errors.js";
import type { PlanEvent } from "./events.js";
import type { RunOptions } from "./options.js";
import { parseBytes } from "./parse-bytes.js";
import { makePlan, type PlanInput } from "./plan.js";

/** What is planned for stays below the budget by what an estimate may be off by. */
const MARGIN = 1.15;

/** A run's plan, and the choices that bring it within its budget; null leaves them to what is free at run time. */
export interface FittedPlan {
  readonly plan: PlanEvent;
  readonly microBatch: number | null;
  readonly storage: RunOptions["streams"]["storage"];
}

/**
 * Plans within the memory that `maxMemory` allows on the device that computes: with fewer sequences at
 * once, and with streams that wait elsewhere. Choices that the options make themselves are kept.
 *
 * @throws OptionError when even the leanest plan needs more
 */
export function fitMemory(input: PlanInput): FittedPlan {
  const { options } = input;
  const { microBatch, batch } = options.window;
  const { storage } = options.streams;
  if (options.maxMemory === null) return { plan: makePlan(input), microBatch: null, storage };
  const budget = parseBytes(options.maxMemory);
  const homes = storage === "auto" ? (["device", "host", "disk"] as const) : [storage];
  let leanest: PlanEvent | null = null;
  for (const size of microBatch === null ? halvings(batch) : [microBatch]) {
    for (const home of homes) {
      const window = { ...options.window, microBatch: size };
      const plan = makePlan({ ...input, options: { ...options, window, streams: { storage: home } } });
      if (neededBytes(plan) <= budget) return { plan, microBatch: size, storage: home };
      if (leanest === null || neededBytes(plan) < neededBytes(leanest)) leanest = plan;
    }
  }
  const needed = leanest === null ? 0 : Math.ceil(neededBytes(leanest) / 1e6);
  throw new OptionError({
    where: 'option "maxMemory"',
    what: `the run needs about ${needed} MB at least, and ${options.maxMemory} are allowed`,
    next: `give --max-memory ${needed}MB, or take smaller windows (--set window.size=1 window.overlap=0) or a shorter --context`,
  });
}

function neededBytes({ device, estimate }: PlanEvent): number {
  return MARGIN * (device === "cpu" ? estimate.hostBytes : estimate.deviceBytes);
}

function halvings(batch: number): number[] {
  const sizes = [batch];
  for (let size = batch; size > 1; ) {
    size = Math.ceil(size / 2);
    sizes.push(size);
  }
  return sizes;
}
