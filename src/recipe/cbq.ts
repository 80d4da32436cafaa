import { type ActivationStore, createStore, type Storage } from "../calibration/activation-store.js";
import { OptionError } from "../errors.js";
import { type InputSite, inputSites, type LinearRole } from "../model/index.js";
import { freeOnError, manualSeed, type Tensor } from "../tensor/index.js";
import { advance } from "../window/advance.js";
import { forwardAll, type QuantizedBlock } from "../window/quantized-block.js";
import { learntNumbers, measureWindow, reconstruct } from "../window/reconstruct.js";
import type { Window } from "../window/schedule.js";
import { SequenceParts } from "../window/sequence-parts.js";
import { BlockSource } from "./block-source.js";
import { foldBlock } from "./cfp/fold-block.js";
import { foldsActivations } from "./cfp/folds-activations.js";
import { smallerParts, unusableMoments } from "./fault-warnings.js";
import { deliverBlock, measureLayers } from "./finish-block.js";
import { gptqRule } from "./layer-rule.js";
import { measuredSequences } from "./measured-sequences.js";
import { microBatch } from "./micro-batch.js";
import { prepareRoundings } from "./prepare-roundings.js";
import { isFiniteTensor, quantizeSite } from "./quantize-site.js";
import type { BranchLoss, LayerError, RecipeEvent, RecipeJob, WarningEvent } from "./recipe-job.js";
import { parametersIn, restoreTensors, savedTensors, streamState } from "./recipe-state.js";
import type { StateTensor } from "./saved-state.js";
import { SiteMoments } from "./site-moments.js";
import { calibrateStaticInputs } from "./static-ranges.js";
import { chooseStorage, openStreams, streamShape } from "./streams.js";
import { trainingEvents } from "./training-events.js";
import { blockWindows, finishWindows } from "./windows.js";

/** Names of both streams in saved state. */
const STREAMS = ["stream.full", "stream.quantized"] as const;

/** Of the time that a device has something to do, the part after which no other tensor of the next block is read. */
const READING_SHARE = 0.25;

/**
 * CBQ: windows of blocks that overlap are reconstructed together on two streams of calibration
 * activations, outliers are dealt with first, roundings are learnt. Which rounding, which loss and
 * which schedule are options; the paper's are the preset `paper`.
 * Source: arXiv 2312.07950.
 */
export function* cbq(job: RecipeJob): Generator<RecipeEvent, void> {
  const run = new CbqRun(job);
  try {
    yield* run.run();
  } finally {
    run.dispose();
  }
}

class CbqRun {
  readonly #source: BlockSource;
  readonly #storage: Storage;
  readonly #parts: SequenceParts;
  /** What there is to say at the next event. */
  readonly #warnings: WarningEvent[] = [];
  /** The full-precision stream; a window moves it on to where the next one begins. */
  readonly #full: ActivationStore;
  /** The block whose input `#full` holds. */
  #fullAt: number;
  /** The full-precision stream where the blocks of the last window end: its target, where the next one's begins. */
  #ahead: ActivationStore | null = null;
  readonly #quantized: ActivationStore;
  readonly #windows: readonly Window[];
  /** Blocks of the current window, those that overlap with the one before first. */
  #blocks: QuantizedBlock[] = [];
  #nextBlock: number;

  constructor(private readonly job: RecipeJob) {
    const { tokens, options } = job;
    if (tokens === null) {
      throw new OptionError({ where: "recipe cbq", what: "needs calibration text", next: "give --calibration PATH" });
    }
    if (options.rounding.start === "gptq" && options.rounding.kind !== "code") {
      throw new OptionError({
        where: "rounding.start",
        what: `"gptq" does not go with the rounding "${options.rounding.kind}", which starts at the weight itself`,
        next: "use --set rounding.kind=code, or leave rounding.start at rtn",
      });
    }
    this.#windows = blockWindows("cbq", options, job.spec.blocks);
    this.#nextBlock = this.#windows[job.resume?.window ?? 0]?.first ?? 0;
    this.#fullAt = this.#nextBlock;
    this.#parts = new SequenceParts(microBatch(job.options), (size) => {
      this.#warnings.push(smallerParts(job.device, size));
    });
    this.#storage = chooseStorage(job, streamShape(job, tokens), options.window.secondBranch ? 4 : 3);
    const [full, quantized] = openStreams(job, tokens, STREAMS, this.#storage) as [ActivationStore, ActivationStore];
    this.#full = full;
    this.#quantized = quantized;
    this.#source = freeOnError([full, quantized], () => new BlockSource(job, tokens.context));
  }

  *run(): Generator<RecipeEvent, void> {
    try {
      for (const [index, window] of this.#windows.entries()) {
        if (index >= (this.job.resume?.window ?? 0)) yield* this.#runWindow(window, index);
      }
    } catch (error) {
      yield* this.#speak();
      throw error;
    }
  }

  dispose(): void {
    for (const block of this.#blocks) block.dispose();
    this.#blocks = [];
    this.#full.dispose();
    this.#ahead?.dispose();
    this.#quantized.dispose();
    this.#source.dispose();
  }

  *#runWindow(window: Window, index: number): Generator<RecipeEvent, void> {
    const started = performance.now();
    const { job } = this;
    const windows = this.#windows.length + finishWindows(job);
    const place = { window: index, windows, blocks: [window.first, window.last] } as const;
    // That of the full-precision stream, and with a second branch that of the quantized one.
    const targets: ActivationStore[] = [];
    try {
      yield* this.#enterWindow(window, index, targets);
      if (job.options.window.secondBranch) {
        targets.push(this.#through(this.#quantized, this.#blocks));
      }
      yield { event: "window-start", ...place, trainable: learntNumbers(this.#blocks) };
      this.#source.willOpen(this.#nextBlock, this.#windows[index + 1]?.last ?? -1);
      const lossBefore = this.#measure(targets);
      const learnt = yield* this.#train(targets, index, windows);
      const leaving = this.#blocks.slice(0, window.leaving);
      for (const layer of learnt ? leaving.flatMap((block) => [...block.layers.values()]) : []) layer.harden();
      const lossAfter = learnt ? this.#measure(targets) : null;
      const more = index + 1 < this.#windows.length;
      const layers = yield* this.#leave(leaving, more);
      if (more) this.#ahead = targets[0] ?? null;
      const seconds = (performance.now() - started) / 1000;
      const done = { event: "window-done", ...place, lossBefore, lossAfter, layers, seconds } as const;
      job.sink.windowDone(done, more ? this.#state() : [], this.#parts.size);
      yield done;
    } finally {
      for (const target of targets) if (target !== this.#ahead) target.dispose();
    }
  }

  // Opens the blocks that are new to the window, finds their outliers and ranges on the way of the
  // full-precision stream through them, and adds that stream's end to the window's targets.
  *#enterWindow(window: Window, index: number, targets: ActivationStore[]): Generator<RecipeEvent, void> {
    const { job } = this;
    const next = this.#windows[index + 1]?.first;
    const target = this.#ahead ?? this.#through(this.#full, []);
    this.#ahead = null;
    targets.push(target);
    const pass = (k: number): void => {
      if (k !== next) return;
      this.#advance(target, this.#full, (x) => x);
      this.#fullAt = k;
    };
    while (this.#nextBlock <= window.last) {
      const k = this.#nextBlock++;
      yield { event: "progress", stage: `preparing block ${k}`, done: k, total: job.spec.blocks };
      pass(k);
      const block = this.#source.open(k, job.options.activation.learnClip);
      this.#blocks.push(block);
      this.#prepare(block, target);
    }
    pass(window.last + 1);
    this.#continueLearning(index);
    yield* this.#speak();
  }

  // A continued run has prepared the blocks that overlap with the window before anew, which gives
  // the grids that they started from; here they get back what they had learnt.
  #continueLearning(index: number): void {
    const { resume } = this.job;
    const before = this.#windows[index - 1];
    if (resume === null || resume.window !== index || before === undefined) return;
    restoreTensors(resume, parametersIn(this.#blocks.filter((block) => block.index <= before.last)));
  }

  #state(): StateTensor[] {
    const { job } = this;
    return [
      streamState(job, STREAMS[0], this.#full),
      streamState(job, STREAMS[1], this.#quantized),
      ...savedTensors(parametersIn(this.#blocks)),
    ];
  }

  // Prepares a block and moves `stream`, which stands at its input, to its output.
  #prepare(block: QuantizedBlock, stream: ActivationStore): void {
    const { job } = this;
    const { rounding, activation } = job.options;
    if (foldsActivations(job.options, job.scheme)) foldBlock(job, block, stream, this.#parts);
    block.castWeights(job.dtype);
    calibrateStaticInputs(job, block, stream, activation.learnClip);
    const sites = inputSites(job.spec);
    const siteOf = (role: LinearRole): InputSite | undefined => sites.find((site) => site.linears.includes(role));
    using moments = new SiteMoments(job.device);
    this.#advance(stream, stream, (x, part) => {
      if (rounding.start !== "gptq") return block.forwardFull(x);
      return moments.during(part, (observe) =>
        block.forwardFull(x, (role, input) => {
          if (siteOf(role)?.linears[0] === role) observe(role, input);
        }),
      );
    });
    for (const { linears } of sites) {
      const [role] = linears;
      const sum = role === undefined ? null : moments.of(role);
      if (role === undefined || sum === null || isFiniteTensor(sum.matrix)) continue;
      this.#warnings.push(unusableMoments(block.index, linears));
      moments.drop(role);
    }
    // Per block, so that random starts do not depend on the blocks that this process saw before.
    manualSeed((job.seed + block.index) % Number.MAX_SAFE_INTEGER);
    prepareRoundings(job, block, (role) => {
      const [first] = siteOf(role)?.linears ?? [];
      return first === undefined ? null : moments.of(first);
    });
  }

  // Returns whether the window has learnt anything.
  *#train(targets: readonly ActivationStore[], index: number, windows: number): Generator<RecipeEvent, boolean> {
    const { job } = this;
    const { window, rates, schedule, rounding } = job.options;
    const steps = reconstruct(this.#blocks, this.#quantized, targets, {
      epochs: window.epochs,
      batch: window.batch,
      parts: this.#parts,
      seed: job.seed * 65536 + index * 256,
      objective: window.loss,
      rates: { rounding: rates.rounding, scale: rates.scale, zeroPoint: rates.zeroPoint, input: rates.activation },
      finalRate: schedule.finalRate,
      regulariser: rounding.regulariser,
      meanwhile: (seconds) => {
        const begun = performance.now();
        this.#source.readOn(seconds * READING_SHARE);
        job.sink.meanwhile?.(seconds - (performance.now() - begun) / 1000);
      },
    });
    const fallBack = "its Linears get their codes from GPTQ";
    return yield* trainingEvents(job, steps, { window: index, windows, epochs: window.epochs, fallBack }, () =>
      this.#warnings.splice(0),
    );
  }

  *#speak(): Generator<RecipeEvent, void> {
    yield* this.#warnings.splice(0);
  }

  // Delivers hardened blocks and moves the streams past them, the full-precision one where it did not come by: with overlaps
  // of more than half a window.
  *#leave(leaving: readonly QuantizedBlock[], more: boolean): Generator<RecipeEvent, LayerError[]> {
    const { job } = this;
    const errors: LayerError[] = [];
    for (const block of leaving) {
      yield { event: "progress", stage: `finishing block ${block.index}`, done: block.index, total: job.spec.blocks };
      if ([...block.layers.values()].some((layer) => !layer.isHard)) yield* this.#fallBack(block);
      errors.push(...measureLayers(block, this.#quantized));
      deliverBlock(job, block);
      if (more) {
        if (this.#fullAt === block.index) {
          this.#advance(this.#full, this.#full, (x) => block.forwardFull(x));
          this.#fullAt++;
        }
        this.#advance(this.#quantized, this.#quantized, (x) => block.forwardQuantized(x));
      }
      block.dispose();
    }
    this.#blocks = this.#blocks.slice(leaving.length);
    return errors;
  }

  // Chooses the codes of a block that could not be trained, Linear by Linear, at its own input.
  *#fallBack(block: QuantizedBlock): Generator<RecipeEvent, void> {
    for (const layer of block.layers.values()) layer.dropPath();
    for (const site of inputSites(this.job.spec)) {
      this.job.poll();
      yield* quantizeSite(this.job, block, site, this.#quantized, this.#parts, gptqRule(this.job.options));
    }
    yield* this.#speak();
  }

  #measure(targets: readonly ActivationStore[]): BranchLoss {
    for (const block of this.#blocks) for (const layer of block.layers.values()) layer.previewHard();
    const sequences = measuredSequences(this.#quantized);
    const losses = measureWindow(
      this.#blocks,
      this.#quantized,
      targets,
      this.job.options.window.loss,
      this.#parts,
      sequences,
    );
    return {
      total: losses.reduce((sum, loss) => sum + loss, 0),
      fullPrecision: losses[0] ?? null,
      quantized: losses[1] ?? null,
    };
  }

  // A new store that holds `from` after it went through blocks in full precision.
  #through(from: ActivationStore, blocks: readonly QuantizedBlock[]): ActivationStore {
    const to = createStore(from.shape, this.#storage, this.job);
    try {
      this.#advance(from, to, (x) => forwardAll(blocks, x, (block, hidden) => block.forwardFull(hidden)));
    } catch (error) {
      to.dispose();
      throw error;
    }
    return to;
  }

  #advance(from: ActivationStore, to: ActivationStore, run: (x: Tensor, part: readonly number[]) => Tensor): void {
    advance(from, to, this.#parts, (x, part) => {
      this.job.poll();
      return run(x, part);
    });
  }
}
