import { type DecoderSpec, decoderUnits } from "../../../network/index.js";
import type { Stage } from "../../../recipe/end-to-end/stage.js";
import { microBatch, stepBatch } from "../../../recipe/job/micro-batch.js";
import { recipeOf } from "../../../recipe/job/recipe-names.js";
import type { Window } from "../../../reconstruct/schedule.js";
import type { RunOptions } from "../../options/options.js";
import { blockExtents, meanOfBlocks, mostOfBlocks } from "../block-extents.js";
import type { LinearPlan } from "../linear-plans.js";
import { groupsOf, weightsOf, weightsPerToken } from "../memory-model.js";
import { type MachineSpeed, noWork, secondsOf, type WorkTerms } from "./machine-speed.js";

/** What the time of a run depends on, beside the machine. */
export interface TimeInput {
  readonly options: RunOptions;
  readonly spec: DecoderSpec;
  readonly linears: readonly LinearPlan[];
  readonly windows: readonly Window[];
  /** Trainings of the whole network, behind the windows. */
  readonly stages: readonly Stage[];
  /** Calibration tokens; 0 without text. */
  readonly tokens: number;
  /** Bytes of the checkpoint, and of everything that is written. */
  readonly readBytes: number;
  readonly writtenBytes: number;
}

/** Seconds of the parts of a run, in order. */
export interface PlannedTime {
  /** Until the first window: start, hashing the checkpoint, text, and measuring the machine. */
  readonly before: number;
  /** Every window, and every piece of an end-to-end epoch behind them. */
  readonly windows: readonly number[];
  /** Writing the formats. */
  readonly after: number;
}

/** Products of attention reach so much less of the speed that products of weights have. */
const ATTENTION_LOSS = 2;
/** Steps of a window that are launched part by part: two, and one that is recorded. */
const LAUNCHED_STEPS = 3;
/** Sequences on which losses and errors are reported. */
const MEASURED = 8;
/** What the error of a Linear takes beside the forward pass: the quantized block, and every product twice more. */
const ERROR_PASSES = 3;
/** How much longer GPTQ takes for a weight among more columns: measured, 576 and 1,536 columns, 3 and 4 bits. */
const COLUMN_EXPONENT = 0.75;
/** Of what a weight takes in a training step, the part that makes the operand, without gradient or Adam: measured. */
const OPERAND_SHARE = 0.3;
/** Passes over a weight in a step that transforms it first and finds its extremes, over those of the step that is measured: 15 and 5. */
const TRANSFORMING = 3;
/** Passes over the logits of a token that end-to-end training makes beside the products of the head. */
const LOGIT_PASSES = 12;
const LOGIT_SECONDS = 1.2e-9;
/** Seconds of a byte, measured on a disk that is not the bottleneck: hashed and checked; encoded, hashed and written. */
const [READ_SECONDS, WRITTEN_SECONDS] = [1.5e-9, 1.2e-8];
/** Codes that are packed, hashed and kept in the work folder. */
const CODE_SECONDS = 6e-9;
/** The engine, the tokenizer and the text, what measuring takes. */
const START_SECONDS = 3;

/** The time that a run takes on a machine of this speed, window by window. */
export function planTime(input: TimeInput, speed: MachineSpeed): PlannedTime {
  const { windows, stages, readBytes, writtenBytes } = input;
  const terms = windows.map((window, i) => windowTerms(input, speed, window, windows[i - 1], i + 1 < windows.length));
  const pieces = stages.flatMap((stage) => {
    const piece = secondsOf(epochTerms(input, speed, stage)) / stage.pieces + measuringSeconds(input, speed);
    const opening = secondsOf(openingTerms(input, speed, stage));
    return Array.from({ length: stage.epochs * stage.pieces }, (_, i) => piece + (i === 0 ? opening : 0));
  });
  return {
    before: START_SECONDS + readBytes * READ_SECONDS,
    windows: [...terms.map(secondsOf), ...pieces],
    after: writtenBytes * WRITTEN_SECONDS,
  };
}

/** What a window takes, its new blocks prepared and those that leave it handed over. */
export function windowTerms(
  input: TimeInput,
  speed: MachineSpeed,
  window: Window,
  before: Window | undefined,
  more: boolean,
): WorkTerms {
  const { options, linears, tokens, spec } = input;
  const recipe = recipeOf(options.recipe);
  const cost = recipe.cost(options);
  const { targets } = recipe.chain(options);
  const inBlocks = (first: number, last: number): readonly LinearPlan[] =>
    linears.filter(({ block }) => block >= first && block <= last);
  const opened = { first: Math.max(window.first, (before?.last ?? -1) + 1), last: window.last };
  const [all, fresh, leaving] = [
    inBlocks(window.first, window.last),
    inBlocks(opened.first, opened.last),
    inBlocks(window.first, window.first + window.leaving - 1),
  ];
  const blocks = window.last - window.first + 1;
  const units = decoderUnits(spec).slice(window.first, window.last + 1);
  const freshBlocks = Math.max(0, opened.last - opened.first + 1);
  const pass = (of: readonly LinearPlan[], count: number, tokensOf: number): number =>
    passSeconds(input, speed, of, count, tokensOf);
  const epochs = tokens === 0 || !cost.trains ? 0 : trainingPasses(cost.passes);
  const steps = epochs * Math.ceil(options.samples / stepBatch(recipe, options));
  const measured = tokens === 0 ? 0 : Math.min(MEASURED, options.samples) * options.context;
  const sites = cost.moments === "site" && tokens > 0 ? meanOfBlocks(spec, ({ inputs }) => inputs.length) : 0;
  const squares =
    cost.moments === "none" ? 0 : 2 * meanOfBlocks(spec, ({ inputs }) => sumOf(inputs, (width) => width ** 2));
  const full = targets.some((target) => target === "full") ? pass(fresh, freshBlocks, tokens) : 0;
  const ofQuantized = targets.some((target) => target === "fullOfQuantized") ? pass(all, blocks, tokens) : 0;
  const trained = recipe.trainsLinears === false ? speed.training * 0.7 : speed.training;
  return {
    ...noWork,
    tokens: epochs * tokens * sumOf(all, weightsPerToken) * trained,
    attention: epochs * tokens * blocks * 3.5 * attentionSeconds(input, speed),
    // Two steps of a window run as they are before one is recorded, which launches as much.
    launching: epochs > 0 ? LAUNCHED_STEPS * blocks * speed.launching.step : 0,
    weights:
      recipe.trainsLinears === false
        ? 0
        : steps *
            sumOf(all, weightsOf) *
            speed.perWeight *
            (cost.transformParameters === undefined ? 1 : TRANSFORMING) +
          (steps * sumOf(units, (unit) => cost.transformProducts?.(unit) ?? 0)) / speed.exactFlops,
    choosing:
      sumOf(fresh, (linear) => choosingSeconds(linear, speed) * (cost.splits?.(columnGroups(linear)) ?? 1)) +
      sites * pass(fresh, freshBlocks, tokens) +
      (cost.attention !== undefined && sites > 0 ? pass(fresh, freshBlocks, tokens) : 0) +
      factorSeconds(input, speed, fresh, freshBlocks) +
      solvesSeconds(input, speed, freshBlocks) +
      (tokens * freshBlocks * squares) / speed.exactFlops,
    advancing: full + ofQuantized + (more ? pass(leaving, window.leaving, tokens) : 0),
    measuring:
      (epochs > 0 ? 2 * pass(all, blocks, measured) + 2 * operandSeconds(all, speed) : 0) +
      ERROR_PASSES * pass(leaving, window.leaving, measured),
    writing: sumOf(leaving, (linear) => weightsOf(linear) + 4 * groupsOf(linear)) * CODE_SECONDS,
  };
}

function columnGroups({ layout }: LinearPlan): number {
  return layout.columns / layout.groupSize;
}

// Blocks are opened one by one, the full-precision stream passes them where there is one, and the loss is measured.
function openingTerms(input: TimeInput, speed: MachineSpeed, { loss, cost, openingSequences = 0 }: Stage): WorkTerms {
  const { linears, spec, options } = input;
  const full = loss === "divergence" ? input.tokens : 0;
  const opening = Math.min(openingSequences, options.samples) * options.context;
  const pass = forwardSeconds(input, speed, linears, spec.blocks.length);
  // Each site sees what the ones before it compute with.
  const attention = recipeOf(options.recipe).cost(options).attention === undefined ? 0 : 1;
  const passes = cost.columns === true ? mostOfBlocks(spec, ({ inputs }) => inputs.length) + attention : 0;
  const squares = 2 * sumOf(blockExtents(spec), ({ moments }) => sumOf(moments, (numbers) => numbers));
  return {
    ...noWork,
    advancing: (full + opening) * pass,
    choosing:
      cost.columns === true
        ? sumOf(linears, (linear) => choosingSeconds(linear, speed)) +
          solvesSeconds(input, speed, spec.blocks.length) +
          opening * (passes * pass + squares / speed.exactFlops) +
          factorSeconds({ ...input, tokens: opening }, speed, linears, spec.blocks.length)
        : 0,
    measuring: measuringSeconds(input, speed),
  };
}

// Forward, forward once more and back, block by block and part by part; the head of both networks, and the gradient of one.
function epochTerms(input: TimeInput, speed: MachineSpeed, { batch, loss, cost }: Stage): WorkTerms {
  const { options, spec, linears, tokens } = input;
  const steps = Math.ceil(options.samples / batch);
  const pass = forwardSeconds(input, speed, linears, spec.blocks.length);
  const parts = steps * Math.ceil(batch / microBatch(options, batch));
  const computing = tokens * (pass + sumOf(linears, weightsPerToken) * speed.training);
  const launching = parts * spec.blocks.length * (speed.launching.pass + speed.launching.step);
  return {
    ...noWork,
    tokens: computing,
    launching: Math.max(0, launching - computing),
    attention: tokens * spec.blocks.length * 3.5 * attentionSeconds(input, speed),
    weights: cost.operands * steps * operandSeconds(linears, speed),
    head: tokens * headSeconds(input, speed) * (loss === "divergence" ? 3 : 2),
  };
}

function measuringSeconds(input: TimeInput, speed: MachineSpeed): number {
  const { options, linears, spec } = input;
  const measured = Math.min(MEASURED, options.samples) * options.context;
  return passSeconds(input, speed, linears, spec.blocks.length, measured) + 2 * measured * headSeconds(input, speed);
}

function headSeconds({ spec }: TimeInput, speed: MachineSpeed): number {
  const logits = spec.vocabSize * (LOGIT_PASSES / 3) * LOGIT_SECONDS * (REFERENCE_FLOPS / speed.exactFlops);
  return (2 * spec.vocabSize * spec.hiddenSize) / speed.flops + logits;
}

/** Speed of the machine on which the seconds of logits were measured. */
const REFERENCE_FLOPS = 1.5e11;

function operandSeconds(linears: readonly LinearPlan[], speed: MachineSpeed): number {
  return sumOf(linears, weightsOf) * speed.perWeight * OPERAND_SHARE;
}

// Seconds of a token through Linears that stand in so many blocks.
function forwardSeconds(input: TimeInput, speed: MachineSpeed, linears: readonly LinearPlan[], blocks: number): number {
  return sumOf(linears, weightsPerToken) * speed.forward + blocks * attentionSeconds(input, speed);
}

// Seconds of a pass of so many tokens through them: what is computed, or where that is little on a device, what is launched.
function passSeconds(
  input: TimeInput,
  speed: MachineSpeed,
  linears: readonly LinearPlan[],
  blocks: number,
  tokens: number,
): number {
  const { options } = input;
  const parts = Math.ceil(tokens / (microBatch(options, options.window.batch) * options.context));
  return Math.max(tokens * forwardSeconds(input, speed, linears, blocks), parts * blocks * speed.launching.pass);
}

// What attention takes of a token and block beyond what it takes at the context that was measured: less where it is shorter.
function attentionSeconds({ spec, options }: TimeInput, speed: MachineSpeed): number {
  return meanOfBlocks(spec, ({ heads, headDim, slidingWindow }) => {
    const seen = (context: number): number => Math.min(context, slidingWindow ?? context) / 2;
    const more = seen(options.context) - seen(speed.context);
    return (4 * more * heads * headDim * ATTENTION_LOSS) / speed.flops;
  });
}

// Each head of the queries mixes the inputs, whose squares are added up; a step on a quadratic is one product of a weight, and Adam.
function factorSeconds(
  { options, spec, tokens }: TimeInput,
  speed: MachineSpeed,
  fresh: readonly LinearPlan[],
  blocks: number,
): number {
  const { attention, quadraticSteps = 0 } = recipeOf(options.recipe).cost(options);
  const { hiddenSize } = spec;
  const mixingSeconds = meanOfBlocks(spec, ({ heads, slidingWindow }) => {
    const seen = Math.min(options.context, slidingWindow ?? options.context) / 2;
    const mixing = attention === "values" ? 2 * heads * hiddenSize : 0;
    return mixing * ((seen * ATTENTION_LOSS) / speed.flops + hiddenSize / speed.exactFlops);
  });
  const products = sumOf(fresh, ({ layout: { rows, columns } }) => 2 * rows * columns ** 2);
  const { weight, step } = speed.quadratic;
  return (
    tokens * blocks * mixingSeconds +
    quadraticSteps * (products / speed.exactFlops + sumOf(fresh, weightsOf) * weight + fresh.length * step)
  );
}

function choosingSeconds(linear: LinearPlan, speed: MachineSpeed): number {
  const { columns } = linear.layout;
  const longer = Math.max(0.25, columns / speed.choosingColumns) ** COLUMN_EXPONENT;
  return weightsOf(linear) * speed.choosing * longer + columns * speed.choosingColumn;
}

// Rows of heads that wait for each other go along all columns each time: on a device that takes as long as all rows at once.
function solvesSeconds({ options, spec }: TimeInput, speed: MachineSpeed, blocks: number): number {
  const { solves } = recipeOf(options.recipe).cost(options);
  return blocks * spec.hiddenSize * speed.choosingColumn * meanOfBlocks(spec, (extent) => solves?.(extent) ?? 0);
}

// A recipe counts three passes for every one that trains, and four beside them.
function trainingPasses(passes: number): number {
  return Math.max(0, (passes - 4) / 3);
}

function sumOf<T>(values: readonly T[], of: (value: T) => number): number {
  return values.reduce((total, value) => total + of(value), 0);
}
