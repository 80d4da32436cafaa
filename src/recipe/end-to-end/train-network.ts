import type { PortStore } from "../../calibration/port-store.js";
import { type Parameter, parameterGroups } from "../../quant/parameter.js";
import { advance } from "../../reconstruct/advance.js";
import { forwardLearning, measureEndToEnd, type TrainedNetwork, trainEndToEnd } from "../../reconstruct/end-to-end.js";
import { cosine } from "../../reconstruct/objective/cosine.js";
import { nextTokenLoss, type OutputObjective, outputDivergence } from "../../reconstruct/objective/output-objective.js";
import type { QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import { learntNumbers } from "../../reconstruct/reconstruct.js";
import { SequenceParts } from "../../reconstruct/sequence-parts.js";
import { FaultWatch } from "../../reconstruct/training/fault-watch.js";
import { Adam, freeOnError, releaseCachedMemory } from "../../tensor/index.js";
import { smallerParts } from "../job/fault-warnings.js";
import { measuredSequences } from "../job/measured-sequences.js";
import { microBatch } from "../job/micro-batch.js";
import type { BranchLoss, CalibrationTokens, RecipeEvent, RecipeJob, WarningEvent } from "../job/recipe-job.js";
import { trainingEvents } from "../solve/training-events.js";
import { type NamedTensor, parametersIn, restoreTensors, savedTensors } from "../state/recipe-state.js";
import type { RecipeState, StateTensor } from "../state/saved-state.js";
import { chooseStorage, openStreams, streamShape } from "../state/streams.js";
import { UnitSource } from "../state/unit-source.js";
import { frozenEnds } from "./network-ends.js";
import type { NetworkEnds, Stage, StageWork } from "./stage.js";

/** Names of both streams. */
const STREAMS = ["stream.input", "stream.target"] as const;

/** Name of the optimiser's and the watch's counts in saved state, fp32 `[4]`. */
const PROGRESS = "finish.progress";

/**
 * Runs a stage: opens all blocks, trains them together on the network's output, and hands over. Each piece of an epoch is
 * a window of its own, so that a killed run loses no more.
 *
 * @param first number of the stage's first window
 * @param windows of the whole run
 */
export function* trainNetwork(
  job: RecipeJob,
  stage: Stage,
  first: number,
  windows: number,
): Generator<RecipeEvent, void> {
  const pieces = stage.epochs * stage.pieces;
  const done = Math.max(0, (job.resume?.window ?? 0) - first);
  if (done >= pieces) return;
  // Its tensors are of other sizes than those of the windows.
  releaseCachedMemory();
  const training = new NetworkTraining(job, stage, first, windows);
  try {
    yield* training.prepare(done);
    for (let piece = done; piece < pieces; piece++) yield* training.train(piece);
  } catch (error) {
    yield* training.warnings.splice(0);
    throw error;
  } finally {
    training.dispose();
  }
}

class NetworkTraining {
  readonly #source: UnitSource;
  readonly #parts: SequenceParts;
  /** What there is to say at the next event. */
  readonly warnings: WarningEvent[] = [];
  /** The first block's inputs, and the outputs of the full-precision network, where the loss needs these. */
  readonly #streams: readonly PortStore[];
  readonly #objective: OutputObjective;
  readonly #ends: NetworkEnds;
  readonly #blocks: QuantizedUnit[] = [];
  readonly #network: TrainedNetwork;
  readonly #work: StageWork;
  readonly #watch = new FaultWatch();
  #adam: Adam | null = null;
  /** Before the first epoch, and now. */
  #losses = [Number.NaN, Number.NaN] as [begun: number, now: number];

  constructor(
    private readonly job: RecipeJob,
    private readonly stage: Stage,
    private readonly first: number,
    private readonly windows: number,
  ) {
    const { tokens, device, options } = job;
    if (tokens === null) throw new TypeError("end-to-end training needs calibration tokens");
    this.#parts = new SequenceParts(microBatch(options, stage.batch), (size) => {
      this.warnings.push(smallerParts(device, size));
    });
    const anew = { ...job, resume: null };
    const divergence = stage.loss === "divergence";
    const storage = divergence ? chooseStorage(job, streamShape(job, tokens), STREAMS.length) : "host";
    const streams = divergence ? openStreams(anew, tokens, STREAMS, storage) : [];
    this.#streams = streams;
    this.#source = freeOnError(streams, () => new UnitSource(job, tokens.context));
    this.#work = { job, source: this.#source, parts: this.#parts, opening: null };
    const [stored = null, target] = streams;
    this.#ends = freeOnError([...streams, this.#source], () =>
      stage.openEnds === undefined ? frozenEnds(job, tokens, stored) : stage.openEnds(this.#work),
    );
    const { input, end, parameters } = this.#ends;
    this.#objective = target === undefined ? nextTokenLoss(tokens) : outputDivergence(target, end);
    this.#network = { blocks: this.#blocks, input, end, beside: parameters };
  }

  /** Computes the full-precision outputs, and opens all blocks, as they were after so many pieces. */
  *prepare(done: number): Generator<RecipeEvent, void> {
    const { job, stage } = this;
    const total = job.network.units.length;
    const opening = this.#openOpening();
    try {
      for (let k = 0; k < total; k++) {
        yield { event: "progress", stage: "end to end: opening block", done: k + 1, total };
        job.poll();
        this.#passTarget(k);
        const block = stage.open(k, { ...this.#work, opening });
        this.#blocks.push(block);
        if (opening === null || k + 1 === total) continue;
        advance(opening, opening, this.#parts, (x) => {
          job.poll();
          return forwardLearning(block, x);
        });
      }
    } finally {
      opening?.dispose();
    }
    this.#adam = new Adam(parameterGroups(this.#parameters, stage.rates));
    const begun = this.#measure();
    if (done > 0 && job.resume !== null) {
      restoreTensors(job.resume, this.#learnt(this.#adam));
      this.#continueFrom(job.resume, this.#adam);
    }
    this.#losses = [begun, done > 0 ? this.#measure() : begun];
    yield* this.warnings.splice(0);
  }

  *train(piece: number): Generator<RecipeEvent, void> {
    const started = performance.now();
    const { job, stage, windows } = this;
    const { epochs, pieces } = stage;
    const adam = this.#adam as Adam;
    const window = this.first + piece;
    const place = { window, windows, blocks: [0, job.network.units.length - 1] } as const;
    yield { event: "window-start", ...place, trainable: this.#trainable };
    const [begun, before] = this.#losses;
    let after = before;
    // Once it was given up, the epochs that are left do nothing.
    if (!this.#watch.gaveUp) {
      const epoch = Math.floor(piece / pieces);
      const steps = trainEndToEnd(this.#network, adam, this.#objective, {
        epoch,
        piece: [piece % pieces, pieces],
        batch: stage.batch,
        parts: this.#parts,
        seed: job.seed * 65536 + (this.first + epoch) * 256,
        schedule: (step) => cosine(step, epochs * this.#steps, stage.finalRate, stage.warmup),
        clip: stage.clip,
        decay: { rates: stage.rates, by: stage.decay ?? {} },
        watch: this.#watch,
      });
      const { fallBack } = stage;
      yield* trainingEvents(job, steps, { window, windows, epochs, fallBack }, () => this.warnings.splice(0));
      after = this.#measure();
    }
    this.#losses = [begun, after];
    const last = piece + 1 === epochs * pieces;
    if (last) yield* this.#deliver();
    const seconds = (performance.now() - started) / 1000;
    const losses = { lossBefore: lossOf(before), lossAfter: lossOf(after) };
    const done = { event: "window-done", ...place, ...losses, layers: [], seconds } as const;
    job.sink.windowDone(done, last ? [] : this.#state(adam), this.#parts.size);
    yield done;
  }

  // Codes of a whole network may not fit beside what trained them: each block is freed behind its own.
  *#deliver(): Generator<RecipeEvent, void> {
    const { stage } = this;
    const [begun, now] = this.#losses;
    const refusal = stage.refuse?.({ begun, now }) ?? null;
    if (refusal !== null) {
      yield refusal;
      return;
    }
    const remark = stage.remark?.({ begun, now }) ?? null;
    if (remark !== null) yield remark;
    for (let block = this.#blocks.shift(); block !== undefined; block = this.#blocks.shift()) {
      try {
        this.job.poll();
        stage.deliver(block, this.#work);
      } finally {
        block.dispose();
      }
    }
    stage.deliverEnds?.(this.#ends, this.#work);
  }

  // The first sequences at the first block's input, where blocks are opened by their inputs.
  #openOpening(): PortStore | null {
    const { job, stage } = this;
    const { ids, context, sequences } = job.tokens as CalibrationTokens;
    const count = Math.min(stage.openingSequences ?? 0, sequences);
    if (count === 0) return null;
    const tokens = { ids: ids.subarray(0, count * context), context, sequences: count };
    const storage = chooseStorage(job, streamShape(job, tokens), 1);
    return openStreams({ ...job, resume: null }, tokens, ["stream.opening"], storage)[0] ?? null;
  }

  // The full-precision stream moves past a block.
  #passTarget(index: number): void {
    const target = this.#streams[1];
    if (target === undefined) return;
    const { job } = this;
    const full = this.#source.open(index, false);
    try {
      full.castWeights(job.dtype);
      full.dropExactWeights();
      advance(target, target, this.#parts, (x) => {
        job.poll();
        return full.forwardFull(x);
      });
    } finally {
      full.dispose();
    }
  }

  // Steps that were not finite count for the watch and not for Adam, so neither follows from the number of epochs.
  #state(adam: Adam): StateTensor[] {
    const numbers = Float32Array.of(adam.steps, ...this.#watch.state);
    const bytes = new Uint8Array(numbers.buffer);
    return [
      ...savedTensors(this.#learnt(adam)),
      { name: PROGRESS, dtype: "float32", shape: [numbers.length], pieces: () => [bytes] },
    ];
  }

  #continueFrom(state: RecipeState, adam: Adam): void {
    const bytes = new Uint8Array(state.read(PROGRESS, 0, 16));
    const [steps = 0, done = 0, skipped = 0, rollbacks = 0] = new Float32Array(bytes.buffer);
    adam.steps = steps;
    this.#watch.state = [done, skipped, rollbacks];
  }

  dispose(): void {
    this.#adam?.dispose();
    for (const block of this.#blocks) block.dispose();
    this.#ends.dispose();
    for (const stream of this.#streams) stream.dispose();
    this.#source.dispose();
  }

  get #parameters(): readonly Parameter[] {
    return [...parametersIn(this.#blocks), ...this.#ends.parameters];
  }

  get #trainable(): number {
    return learntNumbers(this.#blocks) + this.#ends.parameters.reduce((sum, { tensor }) => sum + tensor.numel, 0);
  }

  get #steps(): number {
    return Math.ceil(this.#ends.input.shape.sequences / this.stage.batch);
  }

  #measure(): number {
    return measureEndToEnd(this.#network, this.#objective, this.#parts, measuredSequences(this.#ends.input));
  }

  #learnt(adam: Adam): NamedTensor[] {
    const moments = adam.moments.map((tensor, i) => ({ name: `finish.moment.${i}`, tensor }));
    return [...this.#parameters, ...moments];
  }
}

function lossOf(total: number): BranchLoss {
  return { total, fullPrecision: null, quantized: null };
}
