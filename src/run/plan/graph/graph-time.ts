import { stepBatch } from "../../../recipe/job/micro-batch.js";
import { recipeOf } from "../../../recipe/job/recipe-names.js";
import type { Window } from "../../../reconstruct/schedule.js";
import type { PlanEvent } from "../../events/events.js";
import type { LinearPlan } from "../linear-plans.js";
import { sum, trainedParameters, weightsOf } from "../memory-model.js";
import type { UnitSpeed } from "../time/machine-speed.js";
import type { GraphPlanInput } from "./graph-plan.js";
import type { UnitExtent } from "./unit-extents.js";

/** Networks whose outputs are compared on held-out examples: source, result, round to nearest. */
export const COMPARED = 3;

/** Seconds until work starts, and of a byte that is read or written; images are decoded, tensors checked and hashed. */
const START_SECONDS = 3;
const BYTE_SECONDS = 2e-9;
const EXAMPLE_BYTE_SECONDS = { images: 1e-8, tensors: 6e-9 } as const;
/** Codes that are packed, hashed and kept in the work folder. */
const CODE_SECONDS = 6e-9;
/** A pass beside its products: reading and writing the stream, errors that are measured. */
const OVERHEAD = 1.3;
/** Examples whose losses and errors are measured of a window. */
const MEASURED = 16;
/** Examples whose inputs fix ranges, and how often they pass. */
const RANGE_EXAMPLES = 128;
const RANGE_PASSES = 2;

/** Seconds of a window of a graph: its streams, ranges, training, choice of codes and what is measured of it. */
export function windowSecondsOf(
  input: GraphPlanInput,
  window: Window,
  before: Window | undefined,
  linears: readonly LinearPlan[],
): number {
  const { options, extents, examples, speed } = input;
  const recipe = recipeOf(options.recipe);
  const { trains, moments, passes, ahead = 0 } = recipe.cost(options);
  const { targets } = recipe.chain(options);
  const opened = Math.max(window.first, (before?.last ?? -1) + 1);
  const of = (first: number, end: number): readonly UnitSpeed[] => (speed.units ?? []).slice(first, end);
  const forwardOf = (first: number, end: number): number => sum(of(first, end), ({ forward }) => forward) * OVERHEAD;
  const [end, left] = [window.last + 1, window.first + window.leaving];
  const [all, fresh, leaving] = [forwardOf(window.first, end), forwardOf(opened, end), forwardOf(window.first, left)];
  const squares = sum(extents.slice(opened, end), ({ layers }) =>
    sum(layers, ({ columns, positions }) => 2 * positions * columns ** 2),
  );
  const learns = trains && linears.some((linear) => trainedParameters(linear, input) > 0);
  const epochs = examples === 0 || !learns ? 0 : Math.max(0, Math.floor((passes - 4) / 3));
  const steps = epochs * Math.ceil(examples / stepBatch(recipe, options));
  const own = of(window.first, end);
  const sites =
    moments === "none" || examples === 0 ? 0 : moments === "site" ? largestLayers(extents.slice(window.first, end)) : 1;
  const measured = Math.min(MEASURED, examples);
  return (
    steps * sum(own, ({ step }) => step) +
    epochs * examples * sum(own, ({ example }) => example) +
    examples * (fresh * (sites + targets.length) + leaving + ahead * forwardOf(end, input.units.length)) +
    rangeSeconds(input, opened, end, fresh) +
    (moments === "none" ? 0 : (examples * squares) / speed.exactFlops) +
    sum(
      linears.filter(({ block }) => block >= opened),
      (linear) => weightsOf(linear) * speed.choosing + linear.layout.columns * speed.choosingColumn,
    ) +
    measured * (2 * all + 3 * leaving) +
    sum(linears, weightsOf) * CODE_SECONDS
  );
}

/** Seconds of what comes before and after the windows. */
export function stageSecondsOf(
  { checkpoint, exampleBytes, speed, extents, source }: GraphPlanInput,
  { scored, weights, resultBytes }: { readonly scored: number; readonly weights: number; readonly resultBytes: number },
): PlanEvent["stageSeconds"] {
  const sourceBytes = sum([...checkpoint.tensors.values()], ({ byteLength }) => byteLength);
  const pass = sum((speed.units ?? []).slice(0, extents.length), ({ forward }) => forward) * OVERHEAD;
  return {
    before:
      START_SECONDS +
      sourceBytes * BYTE_SECONDS +
      exampleBytes * EXAMPLE_BYTE_SECONDS[source === "images" ? "images" : "tensors"],
    scoring: scored * COMPARED * pass + (scored === 0 ? 0 : weights * speed.choosing * 0.5),
    texts: 0,
    writing: resultBytes * BYTE_SECONDS,
  };
}

// Inputs pass twice: for their ends, and to be counted between them.
function rangeSeconds(
  { schemes, units, extents, examples, speed }: GraphPlanInput,
  first: number,
  end: number,
  forward: number,
): number {
  const reads = units.slice(first, end).flatMap(({ layers }, i) =>
    layers.flatMap(({ module, reads: value }, at) => {
      const extent = extents[first + i]?.layers[at];
      const isQuantized = (schemes.get(module)?.activationBits ?? 16) < 16;
      return isQuantized && extent !== undefined ? [[value ?? module, extent.inputs] as const] : [];
    }),
  );
  if (reads.length === 0) return 0;
  const numbers = sum([...new Map(reads).values()], (each) => each);
  const seen = Math.min(RANGE_EXAMPLES, examples);
  return seen * RANGE_PASSES * (forward + numbers * (speed.counting ?? 0));
}

function largestLayers(units: readonly UnitExtent[]): number {
  return units.reduce((most, { layers }) => Math.max(most, layers.length), 0);
}
