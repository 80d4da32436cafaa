import { OptionError } from "../../errors.js";
import { checkpointSource } from "../../network/index.js";
import { ClippedTensorQuantizer, clipsOf, type TensorGrid } from "../../quant/input/asymmetric-tensor.js";
import { cosine } from "../../reconstruct/objective/cosine.js";
import { nextTokenLoss } from "../../reconstruct/objective/output-objective.js";
import { SequenceParts } from "../../reconstruct/sequence-parts.js";
import { FaultWatch } from "../../reconstruct/training/fault-watch.js";
import { ModelOptimiser, measureModel, stepsOf, trainModel } from "../../reconstruct/whole-model/train-model.js";
import { TrainedModel } from "../../reconstruct/whole-model/trained-model.js";
import { releaseCachedMemory } from "../../tensor/index.js";
import { brokenTraining } from "../end-to-end/broken-training.js";
import { notLowered, smallerParts } from "../job/fault-warnings.js";
import { resolveSchemes } from "../job/layer-schemes.js";
import { microBatch } from "../job/micro-batch.js";
import type { CalibrationTokens, RecipeEvent, RecipeJob, WarningEvent } from "../job/recipe-job.js";
import { trainingEvents } from "../solve/training-events.js";
import { type NamedTensor, restoreTensors, savedTensors } from "../state/recipe-state.js";
import type { RecipeState, StateTensor } from "../state/saved-state.js";
import { deliverModel } from "./deliver-model.js";
import { searchInputRanges } from "./search-input-ranges.js";
import { unstorableWeight } from "./unstorable-weight.js";
import type { WholeModelTraining } from "./whole-model-training.js";

/** Name of the counts of optimiser and watch in saved state, fp32 `[4]`. */
const PROGRESS = "training.progress";
/** Sequences that losses are reported on, and those that ranges of inputs are measured on. */
const [MEASURED, SEARCHED] = [8, 8];

/**
 * Trains all weights of a model on the next tokens of the text, with its inputs quantized and a penalty on what its Linears
 * give where the recipe says so, before any block is quantized. It is no end-to-end stage: those learn what codes leave
 * open, from codes on, while here the weights that codes will be chosen for learn, embedding and head among them, and what
 * comes of it is an ordinary model.
 *
 * Each part is a window. A run that was killed goes on with the part that it was in, to the same bits.
 *
 * @param windows those of the whole run
 */
export function* trainWholeModel(
  job: RecipeJob,
  training: WholeModelTraining,
  windows: number,
): Generator<RecipeEvent, void> {
  const done = job.resume?.window ?? 0;
  if (done >= training.parts) return;
  const { tokens } = job;
  if (tokens === null) throw new TypeError("training needs text");
  using stage = new Stage(job, training, tokens, windows);
  try {
    yield* stage.prepare(done);
    for (let part = done; part < training.parts; part++) yield* stage.train(part);
  } catch (error) {
    yield* stage.warnings.splice(0);
    throw error;
  } finally {
    // The windows' tensors are of other sizes.
    releaseCachedMemory();
  }
}

class Stage implements Disposable {
  readonly warnings: WarningEvent[] = [];
  readonly #parts: SequenceParts;
  readonly #model: TrainedModel;
  readonly #watch = new FaultWatch();
  readonly #objective: ReturnType<typeof nextTokenLoss>;
  /** Linears whose inputs will be quantized. */
  readonly #modules: ReadonlySet<string>;
  readonly #steps: number;
  #optimiser: ModelOptimiser | null = null;
  /** Before this process trained anything, and now. */
  #losses = { begun: Number.NaN, now: Number.NaN };

  constructor(
    private readonly job: RecipeJob,
    private readonly training: WholeModelTraining,
    private readonly tokens: CalibrationTokens,
    private readonly windows: number,
  ) {
    const { network, checkpoint, device, dtype, options, scheme } = job;
    this.#parts = new SequenceParts(microBatch(options, training.batch), (size) => {
      this.warnings.push(smallerParts(device, size));
    });
    const schemes = resolveSchemes(network.units, scheme, options.overrides, job.allocation);
    const quantized = [...schemes].filter(([, of]) => of !== null && of.activationBits < 16);
    this.#modules = new Set(quantized.map(([module]) => module));
    this.#objective = nextTokenLoss(tokens);
    this.#steps = stepsOf(training.epochs, tokens.sequences, training.batch);
    this.#model = new TrainedModel(
      network,
      checkpointSource(checkpoint, { device, dtype: "float32" }),
      { device, dtype, length: tokens.context },
      training.penalty,
    );
  }

  /** Begins, or takes up what was learnt in so many parts. */
  *prepare(done: number): Generator<RecipeEvent, void> {
    const { job, training } = this;
    yield { event: "progress", stage: "preparing the model to train", done: 0, total: 0 };
    const { quantizesInputs, inputStart, aligned } = training;
    if (quantizesInputs && this.#modules.size > 0) {
      const measured = inputStart === null && done === 0 ? this.#searched() : null;
      const bits = job.scheme.activationBits;
      for (const module of this.#modules) {
        const grid = measured?.get(module);
        const start = inputStart ?? 1;
        const clips = grid === undefined ? { low: -start, high: start } : clipsOf(grid, bits);
        this.#model.inputs.set(module, new ClippedTensorQuantizer(bits, clips, job.device, { aligned }));
      }
    }
    this.#optimiser = new ModelOptimiser(this.#model, training.rates);
    if (done > 0 && job.resume !== null) this.#continueFrom(job.resume, this.#optimiser);
    const now = this.#measure();
    this.#losses = { begun: now, now };
  }

  *train(part: number): Generator<RecipeEvent, void> {
    const started = performance.now();
    const { job, training } = this;
    const { parts, epochs, batch, warmup, finalRate, weightDecay, maxGradient } = training;
    const optimiser = this.#optimiser as ModelOptimiser;
    const place = { window: part, windows: this.windows, blocks: [0, job.network.units.length - 1] } as const;
    const trainable = this.#model.parameters.reduce((sum, { tensor }) => sum + tensor.numel, 0);
    yield { event: "window-start", ...place, trainable };
    const boundary = (k: number): number => Math.floor((this.#steps * k) / parts);
    const steps = trainModel(this.#model, optimiser, this.tokens, this.#objective, {
      ...{ steps: this.#steps, first: boundary(part), end: boundary(part + 1), batch, weightDecay },
      parts: this.#parts,
      seed: job.seed * 65536,
      schedule: (step) => cosine(step, this.#steps, finalRate, warmup),
      clip: maxGradient,
      watch: this.#watch,
    });
    const fallBack = "the run ends here";
    const trained = yield* trainingEvents(job, steps, { ...place, epochs, fallBack }, () => this.warnings.splice(0));
    if (!trained && this.#watch.gaveUp) throw neverFinite(job.recipe.name, training);
    const { begun, now: before } = this.#losses;
    const now = this.#measure();
    this.#losses = { begun, now };
    const last = part + 1 === parts;
    if (last) yield* this.#deliver();
    const losses = { lossBefore: lossOf(before), lossAfter: lossOf(now) };
    const seconds = (performance.now() - started) / 1000;
    const done = { event: "window-done", ...place, ...losses, layers: [], seconds } as const;
    job.sink.windowDone(done, last ? [] : this.#state(optimiser), this.#parts.size);
    yield done;
  }

  [Symbol.dispose](): void {
    this.#optimiser?.[Symbol.dispose]();
    this.#model.dispose();
  }

  *#deliver(): Generator<RecipeEvent, void> {
    const { job, training } = this;
    const { options, rates } = training;
    const rate = { option: options.rate, value: rates.weight };
    if (!Number.isFinite(this.#losses.now)) throw brokenTraining(job.recipe.name, rate);
    const broken = unstorableWeight(job, this.#model.weights);
    if (broken !== null) {
      const what = `${broken} is not finite as the checkpoint stores it, once the network is trained`;
      throw brokenTraining(job.recipe.name, rate, what);
    }
    if (this.#losses.now > this.#losses.begun) {
      yield notLowered("the training of the model", this.#losses, {
        next: `use a lower rate (${options.rate}), or more text`,
      });
    }
    deliverModel(job, this.#model, this.#grids());
  }

  // Ranges as they were learnt, or as they are measured on what was trained without any.
  #grids(): ReadonlyMap<string, TensorGrid> {
    const learnt = [...this.#model.inputs].flatMap(([module, input]) => {
      const zeroPoint = input.zeroPoint?.();
      return zeroPoint === undefined ? [] : [[module, { scale: input.value(), zeroPoint }] as const];
    });
    return learnt.length > 0 || this.#modules.size === 0 ? new Map(learnt) : this.#searched();
  }

  #searched(): ReadonlyMap<string, TensorGrid> {
    const { job, tokens, training } = this;
    const { sequences, context, ids } = tokens;
    this.#model.prepare();
    try {
      return searchInputRanges(
        this.#modules,
        job.scheme.activationBits,
        (see) => {
          for (let i = 0; i < Math.min(SEARCHED, sequences); i++) {
            job.poll();
            this.#model.observe({ ids: ids.slice(i * context, (i + 1) * context), shape: [1, context] }, see);
          }
        },
        training,
      );
    } finally {
      this.#model.release();
    }
  }

  #measure(): number {
    const count = Math.min(MEASURED, this.tokens.sequences);
    return measureModel(this.#model, this.tokens, this.#objective, this.#parts, count);
  }

  // Steps that were not finite count for the watch and not for Adam, so neither follows from the number of parts.
  #state(optimiser: ModelOptimiser): StateTensor[] {
    const numbers = Float32Array.of(optimiser.steps, ...this.#watch.state);
    const bytes = new Uint8Array(numbers.buffer);
    return [
      ...savedTensors(this.#learnt(optimiser)),
      { name: PROGRESS, dtype: "float32", shape: [numbers.length], pieces: () => [bytes] },
    ];
  }

  #continueFrom(state: RecipeState, optimiser: ModelOptimiser): void {
    restoreTensors(state, this.#learnt(optimiser));
    const bytes = new Uint8Array(state.read(PROGRESS, 0, 16));
    const [steps = 0, done = 0, skipped = 0, rollbacks = 0] = new Float32Array(bytes.buffer);
    optimiser.steps = steps;
    this.#watch.state = [done, skipped, rollbacks];
  }

  #learnt(optimiser: ModelOptimiser): NamedTensor[] {
    const moments = optimiser.moments.map((tensor, i) => ({ name: `training.moment.${i}`, tensor }));
    return [...this.#model.parameters, ...moments];
  }
}

function lossOf(total: number): { total: number; fullPrecision: null; quantized: null } {
  return { total, fullPrecision: null, quantized: null };
}

function neverFinite(recipe: string, { rates, options }: WholeModelTraining): OptionError {
  return new OptionError({
    where: `recipe ${recipe}`,
    what: "the training of the model never becomes finite",
    why: `at a rate of ${rates.weight}, and at a hundredth of it`,
    next: `give --set ${options.rate}=${rates.weight / 1000} and --fresh, or --set compute.dtype=float32`,
  });
}
