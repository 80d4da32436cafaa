import type { PortStore } from "../../calibration/port-store.js";
import { checkpointSource, type NetworkEnd } from "../../network/index.js";
import { parameterGroups } from "../../quant/parameter.js";
import { advance } from "../../reconstruct/advance.js";
import { measureEndToEnd, type TrainedNetwork, trainEndToEnd } from "../../reconstruct/end-to-end.js";
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
import type { BranchLoss, RecipeEvent, RecipeJob, WarningEvent } from "../job/recipe-job.js";
import { trainingEvents } from "../solve/training-events.js";
import { type NamedTensor, parametersIn, restoreTensors, savedTensors } from "../state/recipe-state.js";
import type { RecipeState, StateTensor } from "../state/saved-state.js";
import { chooseStorage, openStreams, streamShape } from "../state/streams.js";
import { UnitSource } from "../state/unit-source.js";

/** Names of both streams. */
const STREAMS = ["stream.input", "stream.target"] as const;

/** Name of the optimiser's and the watch's counts in saved state, fp32 `[4]`. */
const PROGRESS = "finish.progress";

/**
 * End-to-end training, after any recipe: codes stay, and the scales of all blocks, with the clips of their inputs, train
 * together so that the network's output comes near the full-precision one. What every window lost by itself adds up over
 * the blocks; here all of them see the sum. Each epoch is a window of its own, so that a killed run loses no more.
 * Scales are handed over only where they lower the divergence.
 * Source: E2E-QP in EfficientQAT (arXiv 2407.11062), section 3.3.
 *
 * @param first number of the first epoch's window
 */
export function* finishScales(job: RecipeJob, first: number): Generator<RecipeEvent, void> {
  const { epochs } = job.options.endToEnd;
  const done = Math.max(0, (job.resume?.window ?? 0) - first);
  if (done === epochs) return;
  // Its tensors are of other sizes than those of the windows.
  releaseCachedMemory();
  const stage = new FinishStage(job, first);
  try {
    yield* stage.prepare(done);
    for (let epoch = done; epoch < epochs; epoch++) yield* stage.train(epoch);
  } catch (error) {
    yield* stage.warnings.splice(0);
    throw error;
  } finally {
    stage.dispose();
  }
}

class FinishStage {
  readonly #source: UnitSource;
  readonly #parts: SequenceParts;
  /** What there is to say at the next event. */
  readonly warnings: WarningEvent[] = [];
  readonly #input: PortStore;
  readonly #target: PortStore;
  readonly #objective: OutputObjective;
  readonly #end: NetworkEnd;
  readonly #blocks: QuantizedUnit[] = [];
  readonly #network: TrainedNetwork;
  readonly #watch = new FaultWatch();
  #adam: Adam | null = null;
  /** Before the first epoch, and now. */
  #losses = [Number.NaN, Number.NaN] as [begun: number, now: number];

  constructor(
    private readonly job: RecipeJob,
    private readonly first: number,
  ) {
    const { tokens, network, checkpoint, device, dtype, options } = job;
    if (tokens === null) throw new TypeError("end-to-end training needs calibration tokens");
    this.#parts = new SequenceParts(microBatch(options, options.endToEnd.batch), (size) => {
      this.warnings.push(smallerParts(device, size));
    });
    const storage = chooseStorage(job, streamShape(job, tokens), STREAMS.length);
    const streams = openStreams({ ...job, resume: null }, tokens, STREAMS, storage);
    [this.#input, this.#target] = streams as [PortStore, PortStore];
    const { ids, context } = tokens;
    const end = freeOnError(streams, () => network.end(checkpointSource(checkpoint, { device, dtype })));
    this.#end = end;
    this.#objective =
      options.endToEnd.loss === "divergence" ? outputDivergence(this.#target, end) : nextTokenLoss(ids, context);
    this.#source = freeOnError([...streams, end], () => new UnitSource(job, tokens.context));
    this.#network = { blocks: this.#blocks, end };
  }

  /** Computes the full-precision outputs, and opens all blocks with the codes that they got, as they were after `epochs`. */
  *prepare(epochs: number): Generator<RecipeEvent, void> {
    const { job } = this;
    const { results, network, options } = job;
    if (results === null) throw new TypeError("end-to-end training needs what the windows came to");
    for (let k = 0; k < network.units.length; k++) {
      yield {
        event: "progress",
        stage: "end to end: opening block",
        done: k + 1,
        total: network.units.length,
      };
      const full = this.#source.open(k, false);
      try {
        full.castWeights(job.dtype);
        full.dropExactWeights();
        advance(this.#target, this.#target, this.#parts, (x) => {
          job.poll();
          return full.forwardFull(x);
        });
      } finally {
        full.dispose();
      }
      this.#blocks.push(this.#source.openFinished(k, results, options.activation.learnClip));
    }
    const { scaleRate, activationRate } = options.endToEnd;
    this.#adam = new Adam(parameterGroups(parametersIn(this.#blocks), { scale: scaleRate, input: activationRate }));
    const begun = this.#measure();
    if (epochs > 0 && job.resume !== null) {
      restoreTensors(job.resume, this.#learnt(this.#adam));
      this.#continueFrom(job.resume, this.#adam);
    }
    this.#losses = [begun, epochs > 0 ? this.#measure() : begun];
    yield* this.warnings.splice(0);
  }

  *train(epoch: number): Generator<RecipeEvent, void> {
    const started = performance.now();
    const { job } = this;
    const { epochs, batch, warmup, clip } = job.options.endToEnd;
    const adam = this.#adam as Adam;
    const [window, windows] = [this.first + epoch, this.first + epochs];
    const place = { window, windows, blocks: [0, job.network.units.length - 1] } as const;
    yield { event: "window-start", ...place, trainable: learntNumbers(this.#blocks) };
    const [begun, before] = this.#losses;
    let after = before;
    // Once it was given up, the epochs that are left do nothing.
    if (!this.#watch.gaveUp) {
      const steps = trainEndToEnd(this.#network, adam, this.#input, this.#objective, {
        epoch,
        batch,
        parts: this.#parts,
        seed: job.seed * 65536 + window * 256,
        schedule: (step) => cosine(step, epochs * this.#steps, job.options.schedule.finalRate, warmup),
        clip,
        watch: this.#watch,
      });
      const fallBack = "the scales stay as they were before this epoch";
      yield* trainingEvents(job, steps, { window, windows, epochs, fallBack }, () => this.warnings.splice(0));
      after = this.#measure();
    }
    this.#losses = [begun, after];
    const last = epoch + 1 === epochs;
    if (last && after < begun) this.#deliver();
    if (last && !(after < begun)) yield unchanged(begun, after);
    const seconds = (performance.now() - started) / 1000;
    const losses = { lossBefore: lossOf(before), lossAfter: lossOf(after) };
    const done = { event: "window-done", ...place, ...losses, layers: [], seconds } as const;
    job.sink.windowDone(done, last ? [] : this.#state(adam), this.#parts.size);
    yield done;
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
    this.#end.dispose();
    this.#input.dispose();
    this.#target.dispose();
    this.#source.dispose();
  }

  get #steps(): number {
    return Math.ceil(this.#input.shape.sequences / this.job.options.endToEnd.batch);
  }

  #measure(): number {
    return measureEndToEnd(this.#network, this.#input, this.#objective, this.#parts, measuredSequences(this.#input));
  }

  #learnt(adam: Adam): NamedTensor[] {
    const moments = adam.moments.map((tensor, i) => ({ name: `finish.moment.${i}`, tensor }));
    return [...parametersIn(this.#blocks), ...moments];
  }

  #deliver(): void {
    const { sink } = this.job;
    for (const layer of this.#blocks.flatMap((block) => block.trained)) {
      layer.harden();
      sink.rescaled(layer.name, layer.codes.scale.toFloat32Array());
      if (layer.activation !== null) sink.activation(layer.name, layer.activation.value());
    }
  }
}

function lossOf(total: number): BranchLoss {
  return { total, fullPrecision: null, quantized: null };
}

function unchanged(before: number, after: number): WarningEvent {
  return {
    event: "warning",
    message: `end-to-end training did not lower the loss (${before.toPrecision(4)}, then ${after.toPrecision(4)}): the scales stay`,
    where: "all blocks",
    next: "nothing to do; a lower rate may help (--set endToEnd.scaleRate=0.0005), or --finish none saves the time",
  };
}
