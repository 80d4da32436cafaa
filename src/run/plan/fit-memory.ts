import { OptionError } from "../../errors.js";
import { wantsFinish } from "../../recipe/end-to-end/windows.js";
import { mostAtOnce } from "../../recipe/job/micro-batch.js";
import { recipeOf } from "../../recipe/job/recipe-names.js";
import { declares } from "../../recipe/options/option-readers.js";
import type { PlanEvent } from "../events/events.js";
import { isSelfGenerated } from "../options/calibration-option.js";
import { isGraph } from "../options/graph/is-graph.js";
import type { RunOptions } from "../options/options.js";
import { parseBytes } from "../options/parse/parse-bytes.js";
import { besideTensors, makePlan, needsTokens, type PlanInput } from "./plan.js";
import { samplingBatch } from "./sampling-memory.js";

/** What is planned for stays below the budget by what an estimate may be off by. */
const MARGIN = 1.15;

/**
 * Share of what is free that a window may take where there is no budget. The rest is for what an estimate may be off by and
 * for the streams, which look for room themselves.
 */
const WINDOW_SHARE = 0.5;

type Finish = "none" | "scales";

/** A run's plan, and the choices that bring it within its memory. */
export interface FittedPlan {
  readonly plan: PlanEvent;
  /** Sequences on the device at once. */
  readonly microBatch: number;
  /** `auto` leaves the streams to what is free once the run has begun. */
  readonly storage: RunOptions["streams"]["storage"];
  /** What is trained end to end; none where the options leave it open and there is no room for the codes of all blocks. */
  readonly finish: Finish;
  /** Sequences that grow at once where the model makes its text up; 0 where it does not. */
  readonly sampling: number;
  /** What tensors may take on the device that computes; null without a budget. */
  readonly tensorBytes: number | null;
}

/** What a plan is fitted to, beside a budget. */
export interface FitInput extends PlanInput {
  /** What may be taken on the device that computes where there is no budget. */
  readonly spareBytes: number;
}

/** The same of any kind of network. */
type AnyFitInput = Pick<FitInput, "options" | "device" | "baseBytes" | "spareBytes">;

/** Makes the plan of a run with these options. */
type MakePlan<I extends AnyFitInput> = (input: I) => PlanEvent;

/**
 * Plans within the memory that `maxMemory` allows on the device that computes: with fewer sequences at
 * once, and with streams that wait elsewhere. Without it fewer sequences keep a window within what is spare.
 * Choices that the options make themselves are kept.
 *
 * @throws OptionError when even the leanest plan needs more
 */
export function fitMemory(asked: FitInput): FittedPlan {
  return fitPlan(asked, makePlan);
}

/** The same for a network whose plan is made otherwise. */
export function fitPlan<I extends AnyFitInput>(asked: I, make: MakePlan<I>): FittedPlan {
  const input = withSamplingBatch(asked, make);
  const { options } = input;
  const { microBatch } = options.window;
  const { storage } = options.streams;
  if (options.maxMemory === null) return fitSpare(input, make);
  const budget = parseBytes(options.maxMemory);
  const homes = storage === "auto" ? (["device", "host", "disk"] as const) : [storage];
  let leanest: PlanEvent | null = null;
  for (const finish of finishes(options)) {
    for (const size of microBatch === null ? halvings(mostOf(options)) : [microBatch]) {
      for (const home of homes) {
        const plan = planWith(input, make, { microBatch: size, storage: home, finish });
        if (neededBytes(plan) <= budget) {
          const tensorBytes = input.device === "cpu" ? budget - besideTensors(input) : budget;
          return { plan, microBatch: size, storage: home, finish, sampling: samplingBatch(options), tensorBytes };
        }
        if (leanest === null || neededBytes(plan) < neededBytes(leanest)) leanest = plan;
      }
    }
  }
  const least = leanest === null ? 0 : neededBytes(leanest);
  const needed = Math.ceil(least / 1e6);
  // What the process takes by itself is a little different each time, and the next run has to fit.
  const enough = Math.ceil((least * 1.05) / 1e7) * 10;
  throw new OptionError({
    where: 'option "maxMemory"',
    what: `the run needs about ${needed} MB at least, and ${options.maxMemory} are allowed`,
    next: [`give --max-memory ${enough}MB`, ...smallerRuns(options)].join(", or "),
  });
}

// What else takes less, of what the recipe reads.
function smallerRuns(options: RunOptions): readonly string[] {
  const smaller = ["window.size=1", "window.overlap=0"].filter((assignment) =>
    declares(recipeOf(options.recipe), assignment.split("=")[0] ?? ""),
  );
  return [
    ...(smaller.length > 0 ? [`smaller windows (--set ${smaller.join(" ")})`] : []),
    ...(needsTokens(options) && !isGraph(options) ? ["a shorter --context"] : []),
    ...(isSelfGenerated(options) ? ["--calibration PATH with text, for which the network is never held whole"] : []),
  ];
}

// A single sequence is tried in any case: what is free may be more by then.
function fitSpare<I extends AnyFitInput>(input: I, make: MakePlan<I>): FittedPlan {
  const { window, streams } = input.options;
  const most = input.spareBytes * WINDOW_SHARE;
  const sizes = window.microBatch === null ? halvings(mostOf(input.options)) : [window.microBatch];
  const candidates = finishes(input.options).flatMap((finish) => sizes.map((microBatch) => ({ microBatch, finish })));
  // Text that the model makes up takes what it takes: fewer sequences in a window would not change that.
  const windows = samplingAt(input, 0);
  const fits = (candidate: (typeof candidates)[number]): boolean =>
    spareNeeded(input, planWith(windows, make, { ...candidate, storage: "disk" })) <= most;
  const { microBatch, finish } = candidates.find(fits) ??
    candidates.at(-1) ?? { microBatch: 1, finish: "none" as const };
  const chosen = { microBatch, storage: streams.storage, finish };
  return { plan: planWith(input, make, chosen), ...chosen, sampling: samplingBatch(input.options), tensorBytes: null };
}

// As many sequences at once as fit while the model makes its text up, where the options leave it open: judged beside the
// leanest windows, so that what is left to choose is theirs.
function withSamplingBatch<I extends AnyFitInput>(input: I, make: MakePlan<I>): I {
  const { options } = input;
  if (!isSelfGenerated(options) || options.selfGenerated.batch !== null) return input;
  const storage = options.streams.storage === "auto" ? "disk" : options.streams.storage;
  const budget = options.maxMemory === null ? null : parseBytes(options.maxMemory);
  const fits = (batch: number): boolean => {
    const plan = planWith(samplingAt(input, batch), make, { microBatch: 1, storage, finish: "none" });
    return budget === null ? spareNeeded(input, plan) <= input.spareBytes * WINDOW_SHARE : neededBytes(plan) <= budget;
  };
  return samplingAt(input, halvings(samplingBatch(options)).find(fits) ?? 1);
}

/** @param batch 0 leaves the making of text out of what is counted */
function samplingAt<I extends AnyFitInput>(input: I, batch: number): I {
  const { options } = input;
  return { ...input, options: { ...options, selfGenerated: { ...options.selfGenerated, batch } } };
}

function spareNeeded(input: AnyFitInput, { device, estimate }: PlanEvent): number {
  return device === "cpu" ? estimate.hostBytes - besideTensors(input) : estimate.deviceBytes;
}

/** In the order in which they are wished for. */
function finishes(options: RunOptions): readonly Finish[] {
  if (!wantsFinish(recipeOf(options.recipe), options)) return ["none"];
  return options.finish === "auto" ? ["scales", "none"] : ["scales"];
}

function planWith<I extends AnyFitInput>(
  input: I,
  make: MakePlan<I>,
  { microBatch, storage, finish }: Pick<FittedPlan, "microBatch" | "storage" | "finish">,
): PlanEvent {
  const { options } = input;
  return make({
    ...input,
    options: { ...options, finish, window: { ...options.window, microBatch }, streams: { storage } },
  });
}

function neededBytes({ device, estimate }: PlanEvent): number {
  return MARGIN * (device === "cpu" ? estimate.hostBytes : estimate.deviceBytes);
}

function mostOf(options: RunOptions): number {
  return mostAtOnce(recipeOf(options.recipe), options);
}

function halvings(batch: number): number[] {
  const sizes = [batch];
  for (let size = batch; size > 1; ) {
    size = Math.ceil(size / 2);
    sizes.push(size);
  }
  return sizes;
}
