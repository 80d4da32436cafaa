import type { TensorReader } from "../../checkpoint/tensor-reader.js";
import { quantizedBits } from "../../format/bits/bits-per-weight.js";
import { simulationNote } from "../../format/compressed-tensors/what-loads.js";
import type { ActivationQuantization } from "../../format/contract/export-source.js";
import { type DecoderSpec, decoderUnits, unitTensors } from "../../network/index.js";
import { type Scheme, schemeName } from "../../quant/scheme.js";
import { stagesOf, stageWindows } from "../../recipe/end-to-end/stages.js";
import type { LayerSchemes } from "../../recipe/job/layer-schemes.js";
import { recipeOf } from "../../recipe/job/recipe-names.js";
import { storesOf, streamsOf } from "../../recipe/state/streams.js";
import type { Window } from "../../reconstruct/schedule.js";
import type { Device } from "../../tensor/index.js";
import type { CensusRecord } from "../events/census-record.js";
import type { PlanEvent, PlannedFile } from "../events/events.js";
import type { PlannedEffort } from "../events/planned-effort.js";
import { textSource } from "../options/calibration-option.js";
import type { GivenOptions, RunOptions } from "../options/options.js";
import { allocationCost } from "./allocation/allocation-cost.js";
import type { PlannedAllocation } from "./allocation/planned-allocation.js";
import { codeBytes, keptStateBytes } from "./kept-bytes.js";
import { type LinearPlan, linearPlans, protectedLinears, withGroupBits } from "./linear-plans.js";
import { bytesOf, sum, trainedParameters, weightsOf, windowBytes } from "./memory-model.js";
import { samplingBatch, samplingBytes, samplingOperations } from "./sampling-memory.js";
import {
  isSmallNetwork,
  networkBytes,
  scores,
  scoringBytes,
  scoringOperations,
  textOperations,
} from "./scoring-cost.js";
import { stageBytes, stageParameters } from "./stage-memory.js";
import type { MachineSpeed } from "./time/machine-speed.js";
import { planTime } from "./time/time-model.js";
import { timeRange } from "./time/time-range.js";
import { trainingCost } from "./training-cost.js";

/** What the plan is made of. */
export interface PlanInput {
  readonly options: RunOptions;
  readonly scheme: Scheme;
  readonly spec: DecoderSpec;
  readonly schemes: LayerSchemes;
  /** What a budget of bits is shared out over; null without one. */
  readonly allocation?: PlannedAllocation | null;
  readonly activations: ActivationQuantization | null;
  readonly checkpoint: TensorReader;
  /** What becomes of the source model's tensors. */
  readonly census: CensusRecord;
  /** What will be written, the result itself first. */
  readonly exports: readonly PlannedFile[];
  readonly device: Device;
  /** How fast the machine is at what the run does. */
  readonly speed: MachineSpeed;
  /** What was decided of how much is trained; null for a run that reads no text. */
  readonly effort: PlannedEffort | null;
  /** Whether the device has our kernels. */
  readonly kernels: boolean;
  /** Whether libtorch has an attention that keeps no scores. */
  readonly fusedAttention: boolean;
  /** What the process holds before any tensor: Node, libtorch, on a GPU its context. */
  readonly baseBytes: number;
  /** The same once the machine was measured: what that took stays with the process, for its tensors. */
  readonly measuredBytes: number;
  /** What a product has left on a GPU: the workspace of cuBLAS, one for each thread that multiplies. */
  readonly workspaceBytes: number;
  /** Why the text is calibrated on, where it was not asked for. */
  readonly textWhy: string | null;
}

/** The same without what a kind of network adds to it. */
export type PlanFacts = Omit<PlanInput, "spec" | "activations" | "checkpoint">;

/** What reading and cutting text leaves in JavaScript's heap: measured with 4 MB of it. */
const TEXT_BYTES = 75e6;
/** What the host's allocator keeps for use again, as a share of what a window's tensors take at most: measured. */
const KEPT_SHARE = 0.4;
/** What the windows leave in the process when end-to-end training begins, as a share of what their tensors took: measured. */
const LEFT_SHARE = 0.25;

/** What the process takes beside its tensors. */
export function besideTensors({ options, baseBytes }: Pick<PlanInput, "options" | "baseBytes">): number {
  return baseBytes + (needsTokens(options) ? TEXT_BYTES : 0);
}

/** What was chosen of a run, as its plan tells it. */
export function chosenOf({
  options,
  scheme,
  effort,
  exports,
  device,
}: PlanFacts): Pick<
  PlanEvent,
  "event" | "model" | "scheme" | "symmetric" | "recipe" | "preset" | "effort" | "out" | "exports" | "device"
> {
  const { model, recipe, preset, out } = options;
  const { symmetric } = scheme;
  return { event: "plan", model, scheme: schemeName(scheme), symmetric, recipe, preset, effort, out, exports, device };
}

/** What will be done and what it will take. Estimates, to be compared with the measured figures of `done`. */
export function makePlan(input: PlanInput): PlanEvent {
  const { options, spec, schemes, checkpoint, device } = input;
  const units = decoderUnits(spec);
  const linears = linearPlans(units, schemes);
  const recipe = recipeOf(options.recipe);
  const { trains, normParameters, transformParameters } = recipe.cost(options, spec.hiddenSize);
  const windows = recipe.windows(spec.blocks.length, options);
  const stages = stagesOf(recipe, options, needsTokens(options));
  const weights = sum(linears, weightsOf);
  // As they are stored: bits of groups, and which they are.
  const stored = recipe.bitsPerGroup === true ? linears.map(withGroupBits) : linears;
  const bits = sum(stored, ({ layout }) => quantizedBits(layout));
  const trained = windows.map(({ first, last }) =>
    trains
      ? sum(inBlocks(linears, first, last), (linear) => trainedParameters(linear, input)) +
        (last - first + 1) * normParameters +
        sum(units.slice(first, last + 1), (unit) => transformParameters?.(unit) ?? 0)
      : 0,
  );
  // Counted once for every epoch.
  const staged = stages.map((stage) => stage.epochs * stageParameters(input, linears, stage));
  const sequences = needsTokens(options) ? options.samples : 0;
  const calibrationTokens = sequences * options.context;
  const quantizedNames = new Set(linears.map(({ name }) => `${name}.weight`));
  const plain = sum([...checkpoint.tensors.values()], (t) => (quantizedNames.has(t.name) ? 0 : t.byteLength));
  const others = sum(input.exports.slice(1), ({ bytes }) => bytes);
  const resultBytes = Math.ceil(plain + bits / 8) + others;
  const stores = windows.length > 0 ? storesOf(recipe, options) : 0;
  const streams = stages.reduce((most, { loss }) => Math.max(most, loss === "divergence" ? 2 : 0), stores);
  const streamBytes = streams * calibrationTokens * spec.hiddenSize * bytesOf(options);
  const largestWindow = windows.reduce((most, { first, last }) => {
    const window = { blocks: last - first + 1, linears: inBlocks(linears, first, last) };
    return Math.max(most, windowBytes(input, window, calibrationTokens));
  }, 0);
  const endToEnd = stages.reduce((most, stage) => Math.max(most, stageBytes(input, linears, stage)), 0);
  const training = trainingCost(input, linears, { speed: input.speed, tokens: calibrationTokens });
  const sampling = samplingBytes(input);
  const scored = scores(input, calibrationTokens);
  const blocks = Array.from({ length: spec.blocks.length }, (_, block) => inBlocks(linears, block, block));
  const texts = isSmallNetwork(input) ? networkBytes(input) : 0;
  const scoring = scored ? Math.max(texts, ...blocks.map((block) => scoringBytes(input, block))) : 0;
  const working = Math.max(largestWindow, endToEnd, sampling, scoring, training.bytes);
  const { allocation = null } = input;
  const sharing =
    allocation === null ? null : allocationCost({ ...input, flops: input.speed.flops }, linears, allocation.items);
  const onCpu = device === "cpu";
  const streamHome = options.streams.storage === "auto" ? "device" : options.streams.storage;
  // Gradients are computed in a thread of libtorch's.
  const workspaces = input.workspaceBytes * (trains || stages.length > 0 ? 2 : 1);
  const within = (home: string, bytes: number): number => (streamHome === home ? bytes : 0);
  // Bits are shared out before the first window begins.
  const deviceBytes =
    workspaces +
    Math.max(
      working + within("device", streamBytes),
      sharing === null ? 0 : sharing.working + within("device", sharing.stores),
    );
  // Codes of one window are on the host, all of them in the work directory.
  const windowCodes = Math.max(
    0,
    ...windows.map(({ first, leaving }) => codeBytes(inBlocks(linears, first, first + leaving - 1))),
  );
  // A rotated tensor is made beside the one that it is made from.
  const read = largestTensor(checkpoint) * (options.rotation === "hadamard" ? 2 : 1);
  const left = endToEnd > 0 ? largestWindow * LEFT_SHARE : 0;
  // The next block is read while this one trains.
  const early = trains ? largestUnit(checkpoint, spec) : 0;
  const onHost = onCpu
    ? Math.max(
        Math.max(largestWindow, sampling, scoring, training.bytes) * (1 + KEPT_SHARE),
        endToEnd * (1 + KEPT_SHARE) + left,
      )
    : read + early;
  const hosted = (bytes: number): number => (streamHome === "host" || (onCpu && streamHome === "device") ? bytes : 0);
  const sharingOnHost =
    sharing === null ? 0 : (onCpu ? sharing.working * (1 + KEPT_SHARE) : read) + hosted(sharing.stores);
  const hostBytes = besideTensors(input) + Math.max(windowCodes + onHost + hosted(streamBytes), sharingOnHost);
  const time = planTime(
    {
      ...{ options, spec, linears, windows, stages, tokens: calibrationTokens },
      readBytes: [...checkpoint.tensors.values()].reduce((bytes, { byteLength }) => bytes + byteLength, 0),
      writtenBytes: resultBytes,
    },
    input.speed,
  );
  const stageSeconds = {
    before: time.before + samplingSeconds(input) + (sharing?.seconds ?? 0),
    ...scoringSeconds(input, linears, calibrationTokens),
    writing: time.after,
  };
  const parts = Array.from({ length: training.parts }, () => training.seconds);
  const windowSeconds = [...parts, ...time.windows];
  const seconds = sum([...Object.values(stageSeconds), ...windowSeconds], (each) => each);
  return {
    ...chosenOf(input),
    blocks: spec.blocks.length,
    windows: [
      ...parts.map(() => [0, spec.blocks.length - 1] as const),
      ...windows.map(({ first, last }) => [first, last] as const),
      ...Array.from({ length: stageWindows(stages) }, () => [0, spec.blocks.length - 1] as const),
    ],
    windowSeconds,
    stageSeconds,
    linears: linears.length,
    tensors: input.census,
    protected: protectedLinears(units, schemes),
    weights,
    bitsPerWeight: weights === 0 ? 0 : bits / weights,
    bitsBudget: allocation?.budget ?? null,
    trainedParameters: training.parameters + sum([...trained, ...staged], (numbers) => numbers),
    calibrationTokens,
    text: needsTokens(options) ? { source: textSource(options), why: input.textWhy } : null,
    selfGenerated: sampling > 0 ? { atOnce: samplingBatch(options), seconds: samplingSeconds(input) } : null,
    estimate: {
      deviceBytes: Math.ceil(deviceBytes),
      hostBytes: Math.ceil(Math.max(hostBytes, input.measuredBytes)),
      diskBytes: Math.ceil(
        resultBytes +
          2 * training.modelBytes +
          2 * training.stateBytes +
          within("disk", Math.max(streamBytes, sharing?.stores ?? 0)) +
          codeBytes(linears) +
          stateBytes(input, windows, trained),
      ),
      resultBytes,
      seconds,
      range: timeRange(seconds, input.speed.load),
      load: input.speed.load,
    },
    ...ownRuntime(input),
    simulatedActivations: simulationNote(
      linears.map(({ layout }) => layout),
      input.activations,
    ),
  };
}

// What the next window starts from: both streams and what overlapping blocks have learnt.
function stateBytes({ options, spec }: PlanInput, windows: readonly Window[], trained: readonly number[]): number {
  const tokens = needsTokens(options) ? options.samples * options.context : 0;
  const streams = streamsOf(recipeOf(options.recipe), options).length * tokens * spec.hiddenSize * bytesOf(options);
  const [window = { first: 0, last: 0, leaving: 1 }] = windows;
  const size = window.last - window.first + 1;
  const share = (size - window.leaving) / size;
  const one = streams + Math.max(0, ...trained) * share * 4;
  return keptStateBytes(one, windows.length);
}

/** Whether a run looks at text: where it is given, for static ranges, errors of layers and end-to-end training; some recipes must. */
export function needsTokens(options: GivenOptions): boolean {
  return recipeOf(options.recipe).needsText || options.calibration.length > 0 || options.sampler !== null;
}

function inBlocks(linears: readonly LinearPlan[], first: number, last: number): LinearPlan[] {
  return linears.filter(({ block }) => block >= first && block <= last);
}

function scoringSeconds(
  input: PlanInput,
  linears: readonly LinearPlan[],
  tokens: number,
): Record<"scoring" | "texts", number> {
  if (!scores(input, tokens)) return { scoring: 0, texts: 0 };
  const { flops } = input.speed;
  return { scoring: (scoringOperations(input, linears) * SCORING) / flops, texts: textOperations(input) / flops };
}

// Products of few rows are bound by reading the weights.
function samplingSeconds(input: PlanInput): number {
  const rows = samplingBatch(input.options);
  return rows === 0 ? 0 : (samplingOperations(input) / input.speed.flops) * (1 + ROWS_TO_READ / rows);
}

/** Reading the weights for a token takes as long as the products of so many rows at full speed: 6 times those of 64 rows. */
const ROWS_TO_READ = 320;

/** Time of scoring over that of its matrix products: ranges are searched, and distributions compared in float64. */
const SCORING = 2.5;

function largestTensor(checkpoint: TensorReader): number {
  return [...checkpoint.tensors.values()].reduce((most, { byteLength }) => Math.max(most, byteLength), 0);
}

function largestUnit(checkpoint: TensorReader, spec: DecoderSpec): number {
  const bytes = (name: string): number => checkpoint.tensors.get(name)?.byteLength ?? 0;
  return Math.max(0, ...decoderUnits(spec).map((unit) => sum([...unitTensors(unit).keys()], bytes)));
}

function ownRuntime({ options, spec }: PlanInput): Pick<PlanEvent, "ownRuntime"> {
  const recipe = recipeOf(options.recipe);
  if (recipe.bitsPerGroup === true) return { ownRuntime: "groups of columns have bits of their own" };
  if (recipe.normMatrices?.(options) !== true) return {};
  return { ownRuntime: `matrices behind norms, ${spec.hiddenSize} x ${spec.hiddenSize} products for every token` };
}
