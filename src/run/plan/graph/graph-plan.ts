import type { TensorReader } from "../../../checkpoint/tensor-reader.js";
import { quantizedBits } from "../../../format/bits/bits-per-weight.js";
import type { UnitPlan } from "../../../network/index.js";
import { microBatch, mostAtOnce, stepBatch } from "../../../recipe/job/micro-batch.js";
import { recipeOf } from "../../../recipe/job/recipe-names.js";
import { storesOf, streamsOf } from "../../../recipe/state/streams.js";
import type { Window } from "../../../reconstruct/schedule.js";
import type { PlanEvent, TextSource } from "../../events/events.js";
import { scoredExamples } from "../../source/graph/scored-examples.js";
import { codeBytes, keptStateBytes } from "../kept-bytes.js";
import { type LinearPlan, linearPlans, protectedLinears } from "../linear-plans.js";
import { bytesOf, sum, trainedParameters, weightsOf } from "../memory-model.js";
import { besideTensors, chosenOf, type PlanFacts } from "../plan.js";
import { timeRange } from "../time/time-range.js";
import { COMPARED, stageSecondsOf, windowSecondsOf } from "./graph-time.js";
import type { UnitExtent } from "./unit-extents.js";

/** What the plan of a run on a graph is made of. */
export interface GraphPlanInput extends PlanFacts {
  readonly units: readonly UnitPlan[];
  readonly extents: readonly UnitExtent[];
  readonly checkpoint: Pick<TensorReader, "tensors">;
  /** Examples that are calibrated on, and how many there are; zeros without. */
  readonly examples: number;
  readonly available: number;
  /** What the examples are; null without. */
  readonly source: TextSource | null;
  /** Bytes of the examples in memory. */
  readonly exampleBytes: number;
}

/** What the host's allocator keeps for use again, as a share of what a window's tensors take at most. */
const KEPT_SHARE = 0.4;
/** What a batch of examples takes that passes a unit without gradients, over the values that the unit makes. */
const PASSING = 1.2;
/** The same with gradients: values, their gradients, and what fake quantization keeps of inputs. */
const TRAINING = 2.2;

/** What will be done and what it will take, of a graph. Estimates, to be compared with the measured figures of `done`. */
export function makeGraphPlan(input: GraphPlanInput): PlanEvent {
  const { options, units, schemes, extents, device, checkpoint, speed, examples, available } = input;
  const recipe = recipeOf(options.recipe);
  const linears = linearPlans(units, schemes);
  const windows = recipe.windows(units.length, options);
  const { trains } = recipe.cost(options);
  const weights = sum(linears, weightsOf);
  const bits = sum(linears, ({ layout }) => quantizedBits(layout));
  const inWindow = ({ first, last }: Window): LinearPlan[] =>
    linears.filter(({ block }) => block >= first && block <= last);
  const learnt = windows.map((window) =>
    trains ? sum(inWindow(window), (linear) => trainedParameters(linear, input)) : 0,
  );
  const quantized = new Set(linears.map(({ name }) => `${name}.weight`));
  const plain = sum([...checkpoint.tensors.values()], (t) => (quantized.has(t.name) ? 0 : t.byteLength));
  const resultBytes = Math.ceil(input.exports.reduce((bytes, each) => bytes + each.bytes, 0) || plain + bits / 8);
  const width = bytesOf(options);
  const largest = extents.reduce((most, { read, left }) => Math.max(most, read, left), 0);
  const streamBytes = examples === 0 ? 0 : storesOf(recipe, options) * examples * largest * width;
  const largestWindow = windows.reduce(
    (most, window, i) => Math.max(most, windowBytes(input, window, inWindow(window), learnt[i] ?? 0)),
    0,
  );
  const scored = options.score ? scoredExamples(available, examples) : 0;
  const scoring = scored === 0 ? 0 : COMPARED * scored * largest * width + largestUnit(units) * 8;
  const onCpu = device === "cpu";
  const home = options.streams.storage === "auto" ? "device" : options.streams.storage;
  const within = (place: string): number => (home === place ? streamBytes : 0);
  const working = Math.max(largestWindow, scoring);
  const codes = Math.max(
    0,
    ...windows.map(({ first, leaving }) => codeBytes(inWindow({ first, last: first + leaving - 1, leaving }))),
  );
  const read = largestUnit(units) * 4;
  const hosted = home === "host" || (onCpu && home === "device") ? streamBytes : 0;
  const hostBytes =
    besideTensors(input) + input.exampleBytes + codes + (onCpu ? working * (1 + KEPT_SHARE) : read) + hosted;
  const windowSeconds = windows.map((window, i) => windowSecondsOf(input, window, windows[i - 1], inWindow(window)));
  const stageSeconds = stageSecondsOf(input, { scored, weights, resultBytes });
  const seconds = sum([...Object.values(stageSeconds), ...windowSeconds], (each) => each);
  const state = stateBytes(input, windows, learnt, largest);
  return {
    ...chosenOf(input),
    blocks: units.length,
    windows: windows.map(({ first, last }) => [first, last]),
    windowSeconds,
    stageSeconds,
    linears: linears.length,
    tensors: input.census,
    protected: protectedLinears(units, schemes),
    weights,
    bitsPerWeight: weights === 0 ? 0 : bits / weights,
    bitsBudget: input.allocation?.budget ?? null,
    trainedParameters: sum(learnt, (each) => each),
    calibrationTokens: examples,
    text: input.source === null ? null : { source: input.source, why: input.textWhy },
    selfGenerated: null,
    estimate: {
      deviceBytes: Math.ceil(input.workspaceBytes * (trains ? 2 : 1) + working + within("device")),
      hostBytes: Math.ceil(Math.max(hostBytes, input.measuredBytes)),
      diskBytes: Math.ceil(resultBytes + within("disk") + codeBytes(linears) + state),
      resultBytes,
      seconds,
      range: timeRange(seconds, speed.load),
      load: speed.load,
    },
    simulatedActivations: null,
  };
}

/** The least that a run keeps in its work folder: the codes of all windows, and the streams after two of them. */
export function leastGraphWorkBytes(input: GraphPlanInput): number {
  const { options, units, schemes, extents, examples } = input;
  const recipe = recipeOf(options.recipe);
  const codes = sum(linearPlans(units, schemes), ({ layout }) => quantizedBits(layout) / 8);
  const stream = examples * extents.reduce((most, { left }) => Math.max(most, left), 0) * bytesOf(options);
  const windows = recipe.windows(units.length, options).length;
  const saved = Math.min(2, windows - 1) * streamsOf(recipe, options).length * stream;
  const waiting = options.streams.storage === "disk" ? storesOf(recipe, options) * stream : 0;
  return Math.ceil(codes + saved + waiting);
}

// Weights as they are opened and trained, a batch on its way through one unit, second moments with the rows of a convolution.
function windowBytes(
  { options, extents, examples }: GraphPlanInput,
  { first, last }: Window,
  linears: readonly LinearPlan[],
  learnt: number,
): number {
  const recipe = recipeOf(options.recipe);
  const { trains, moments } = recipe.cost(options);
  const width = bytesOf(options);
  const units = extents.slice(first, last + 1);
  const layers = units.flatMap((unit) => unit.layers);
  const weights = sum(linears, weightsOf);
  const held = weights * (4 + width + (trains ? 4 : 0));
  const batch = examples === 0 ? 0 : Math.min(examples, microBatch(options, mostAtOnce(recipe, options)));
  const made = units.reduce((most, { made: numbers }) => Math.max(most, numbers), 0);
  const passing = batch * made * width * PASSING;
  const squares = layers.map(({ columns }) => columns ** 2 * 4);
  const rows = layers.map(({ columns, positions }) => batch * columns * positions * 4);
  const most = (values: readonly number[]): number => values.reduce((largest, value) => Math.max(largest, value), 0);
  const observed =
    moments === "none" ? 0 : (moments === "block" ? sum(squares, (bytes) => bytes) : most(squares)) + most(rows);
  const choice = most(layers.map(({ rows: out, columns }) => 7 * out * columns * 4 + 5 * columns ** 2 * 4));
  const phases = [held + passing + observed, held + choice + observed - most(rows)];
  if (trains) {
    const inStep = Math.min(batch, stepBatch(recipe, options));
    const kept = sum(units, ({ made: numbers }) => numbers) * inStep * width * TRAINING;
    const placed = stepBatch(recipe, options) * sum(units, ({ own }) => own) * 4;
    phases.push(held + learnt * 16 + weights * 8 + kept + placed);
  }
  return most(phases);
}

function stateBytes(
  { options, examples }: GraphPlanInput,
  windows: readonly Window[],
  learnt: readonly number[],
  largest: number,
): number {
  const streams = streamsOf(recipeOf(options.recipe), options).length * examples * largest * bytesOf(options);
  const [window = { first: 0, last: 0, leaving: 1 }] = windows;
  const size = window.last - window.first + 1;
  const one = streams + (learnt.reduce((most, each) => Math.max(most, each), 0) * 4 * (size - window.leaving)) / size;
  return keptStateBytes(one, windows.length);
}

function largestUnit(units: readonly UnitPlan[]): number {
  return units.reduce(
    (most, { layers }) =>
      Math.max(
        most,
        sum(layers, ({ rows, columns }) => rows * columns),
      ),
    0,
  );
}
