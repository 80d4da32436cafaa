import type { Storage } from "../../calibration/activation-store.js";
import { createPortStore, type PortStore, type Ports } from "../../calibration/port-store.js";
import { advance } from "../../reconstruct/advance.js";
import { forwardAll, type QuantizedUnit } from "../../reconstruct/quantized-unit.js";
import { learntNumbers, measureWindow } from "../../reconstruct/reconstruct.js";
import type { Window } from "../../reconstruct/schedule.js";
import { SequenceParts } from "../../reconstruct/sequence-parts.js";
import { freeOnError } from "../../tensor/index.js";
import { stagesOfJob, stageWindows } from "../end-to-end/stages.js";
import { smallerParts } from "../job/fault-warnings.js";
import { learnsClips } from "../job/learns-clips.js";
import { measuredSequences } from "../job/measured-sequences.js";
import { microBatch, mostAtOnce } from "../job/micro-batch.js";
import type { BranchLoss, LayerError, RecipeEvent, RecipeJob, WarningEvent } from "../job/recipe-job.js";
import type { Chain, Recipe, WindowWork } from "../recipe.js";
import { chooseColumns } from "../solve/column-solver.js";
import { deliverBlock, hardenBlock, measureLayers } from "../solve/finish-block.js";
import { gptqRule } from "../solve/layer-rule.js";
import { branchLoss } from "./branch-loss.js";
import { parametersIn, restoreTensors, savedTensors, streamState } from "./recipe-state.js";
import type { StateTensor } from "./saved-state.js";
import { chooseStorage, largestShape, openStreams, storesOf, streamsOf } from "./streams.js";
import { UnitSource } from "./unit-source.js";

/** Stop reading the next block ahead after this fraction of the work that a device has queued. */
const READING_SHARE = 0.25;

/**
 * Takes a recipe through a network, window by window: opens the blocks, moves the streams of calibration activations past
 * them, lets the recipe prepare and solve, hardens, hands over, and saves what the next window starts from.
 */
export function* drive(recipe: Recipe, job: RecipeJob): Generator<RecipeEvent, void> {
  const run = new Run(recipe, job);
  try {
    yield* run.run();
  } finally {
    run.dispose();
  }
}

class Run {
  readonly #source: UnitSource;
  readonly #parts: SequenceParts;
  readonly #warnings: WarningEvent[] = [];
  readonly #windows: readonly Window[];
  readonly #chain: Chain;
  readonly #names: readonly string[];
  readonly #storage: Storage;
  /** The full-precision stream, where a target needs one; a window moves it on to where the next one begins. */
  readonly #full: PortStore | null;
  /** The block whose input `#full` holds. */
  #fullAt: number;
  /** The full-precision stream where the blocks of the last window end: its target, where the next one's begins. */
  #ahead: PortStore | null = null;
  /** The stream of the quantized network at the input of the window; null without text. */
  readonly #quantized: PortStore | null;
  /** What the window sees: the stream of the quantized network, or a store of its own of full precision. */
  #input: PortStore | null = null;
  /** The full-precision stream at the window's input, where the recipe asks for it. */
  #fullInput: PortStore | null = null;
  /** Blocks of the current window, those that overlap with the one before first. */
  #blocks: QuantizedUnit[] = [];
  #nextBlock: number;

  constructor(
    private readonly recipe: Recipe,
    private readonly job: RecipeJob,
  ) {
    const { tokens, options, device, network } = job;
    this.#windows = recipe.windows(network.units.length, options);
    this.#nextBlock = this.#windows[job.resume?.window ?? 0]?.first ?? 0;
    this.#fullAt = this.#nextBlock;
    this.#parts = new SequenceParts(tokens === null ? 1 : microBatch(options, mostAtOnce(recipe, options)), (size) => {
      this.#warnings.push(smallerParts(device, size));
    });
    this.#chain = recipe.chain(options);
    this.#names = streamsOf(recipe, options);
    this.#storage = tokens === null ? "host" : chooseStorage(job, largestShape(job, tokens), storesOf(recipe, options));
    const streams = tokens === null ? [] : openStreams(job, tokens, this.#names, this.#storage, this.#nextBlock);
    this.#quantized = streams.at(-1) ?? null;
    this.#full = (streams.length > 1 ? streams[0] : null) ?? null;
    this.#source = freeOnError(streams, () => new UnitSource(job, tokens?.context ?? 1));
  }

  *run(): Generator<RecipeEvent, void> {
    try {
      for (const [index, window] of this.#windows.entries()) {
        if (index >= (this.job.resume?.window ?? 0)) yield* this.#runWindow(window, index);
      }
    } catch (error) {
      yield* this.#announceWarnings();
      throw error;
    }
  }

  dispose(): void {
    for (const block of this.#blocks) block.dispose();
    this.#blocks = [];
    this.#full?.dispose();
    this.#ahead?.dispose();
    this.#quantized?.dispose();
    this.#source.dispose();
  }

  *#runWindow(window: Window, index: number): Generator<RecipeEvent, void> {
    const started = performance.now();
    const { job } = this;
    const windows = this.#windows.length + stageWindows(stagesOfJob(job));
    const place = { window: index, windows, blocks: [window.first, window.last] } as const;
    const targets: PortStore[] = [];
    try {
      yield* this.#enterWindow(window, index, targets);
      yield { event: "window-start", ...place, trainable: learntNumbers(this.#blocks) };
      this.#source.willOpen(this.#nextBlock, this.#windows[index + 1]?.last ?? -1);
      // Before its codes are chosen there is nothing to measure.
      const trained = this.#blocks.some((block) => block.trained.length > 0);
      const lossBefore = trained ? this.#measure(targets) : null;
      const solved = yield* this.recipe.solve(this.#work(index, windows, targets, window.leaving));
      const leaving = this.#blocks.slice(0, window.leaving);
      for (const block of leaving) hardenBlock(job, block, solved);
      const lossAfter = solved ? this.#measure(targets) : null;
      const more = index + 1 < this.#windows.length;
      const layers = yield* this.#leave(leaving, more);
      if (more && this.#full !== null) this.#ahead = targets[0] ?? null;
      const seconds = (performance.now() - started) / 1000;
      const done = { event: "window-done", ...place, lossBefore, lossAfter, layers, seconds } as const;
      job.sink.windowDone(done, more ? this.#state() : [], this.#parts.size);
      yield done;
    } finally {
      for (const target of targets) if (target !== this.#ahead) target.dispose();
      if (this.#input !== this.#quantized) this.#input?.dispose();
      this.#fullInput?.dispose();
      this.#fullInput = null;
    }
  }

  // Opens the blocks that are new to the window and has them prepared, on the way of the full-precision stream through them
  // where there is one; adds what the window is held against to `targets`.
  *#enterWindow(window: Window, index: number, targets: PortStore[]): Generator<RecipeEvent, void> {
    const { job } = this;
    const next = this.#windows[index + 1]?.first;
    const full = this.#full;
    const target = full === null ? null : (this.#ahead ?? this.#through(full, []));
    this.#ahead = null;
    if (target !== null) targets.push(target);
    // The full-precision stream itself moves on while the window's blocks are opened.
    this.#input = full !== null && this.#chain.input === "full" ? this.#through(full, []) : this.#quantized;
    this.#fullInput = full !== null && this.#chain.fullInput === true ? this.#through(full, []) : null;
    const pass = (k: number): void => {
      if (k !== next || full === null || target === null) return;
      this.#advance(target, full, (x) => x);
      this.#fullAt = k;
    };
    while (this.#nextBlock <= window.last) {
      const k = this.#nextBlock++;
      yield { event: "progress", stage: "preparing block", done: k + 1, total: job.network.units.length };
      pass(k);
      const block = this.#source.open(k, learnsClips(this.recipe, job.options));
      this.#blocks.push(block);
      this.#prepare(block, target);
    }
    pass(window.last + 1);
    this.#continueTraining(index);
    if (this.#quantized !== null && this.#chain.targets.some((kind) => kind === "fullOfQuantized")) {
      targets.push(this.#through(this.#quantized, this.#blocks));
    }
    yield* this.#announceWarnings();
  }

  #prepare(block: QuantizedUnit, target: PortStore | null): void {
    const { job } = this;
    let moved = false;
    this.recipe.prepare(block, target ?? this.#quantized, {
      job,
      parts: this.#parts,
      warnings: this.#warnings,
      advance: (stream, run) => {
        this.#advance(stream, stream, run);
        moved = true;
      },
    });
    if (!moved && target !== null) this.#advance(target, target, (x) => block.forwardFull(x));
  }

  // A continued run has prepared the blocks that overlap with the window before anew, which gives
  // the grids that they started from; here they get back what they had learnt.
  #continueTraining(index: number): void {
    const { resume } = this.job;
    const before = this.#windows[index - 1];
    if (resume === null || resume.window !== index || before === undefined) return;
    restoreTensors(resume, parametersIn(this.#blocks.filter((block) => block.index <= before.last)));
  }

  #work(index: number, windows: number, targets: readonly PortStore[], leaving: number): WindowWork {
    const { job } = this;
    return {
      job,
      index,
      windows,
      targets,
      parts: this.#parts,
      warnings: this.#warnings,
      leaving,
      blocks: this.#blocks,
      input: this.#input,
      fullInput: this.#fullInput,
      whileDeviceWorks: (seconds) => {
        const begun = performance.now();
        this.#source.readOn(seconds * READING_SHARE);
        job.sink.meanwhile?.(seconds - (performance.now() - begun) / 1000);
      },
    };
  }

  #state(): StateTensor[] {
    const { job } = this;
    const streams = [this.#full, this.#quantized].filter((stream) => stream !== null);
    return [
      ...streams.flatMap((stream, i) => streamState(job, this.#names[i] as string, stream)),
      ...savedTensors(parametersIn(this.#blocks)),
    ];
  }

  *#announceWarnings(): Generator<RecipeEvent, void> {
    yield* this.#warnings.splice(0);
  }

  // Hands over hardened blocks and moves the streams past them; the full-precision one where `#enterWindow` has not: with
  // overlaps of more than half a window.
  *#leave(leaving: readonly QuantizedUnit[], more: boolean): Generator<RecipeEvent, LayerError[]> {
    const { job } = this;
    const errors: LayerError[] = [];
    for (const block of leaving) {
      yield {
        event: "progress",
        stage: "finishing block",
        done: block.index + 1,
        total: job.network.units.length,
      };
      if ([...block.layers.values()].some((layer) => !layer.isHard)) yield* this.#fallBack(block);
      if (this.#quantized !== null) errors.push(...measureLayers(block, this.#quantized));
      deliverBlock(job, block);
      if (more && this.#full !== null && this.#fullAt === block.index) {
        this.#advance(this.#full, this.#full, (x) => block.forwardFull(x));
        this.#fullAt++;
      }
      // Also behind the last window's blocks but the last: the next one is measured at its own input.
      if (this.#quantized !== null && (more || block !== leaving.at(-1))) {
        this.#advance(this.#quantized, this.#quantized, (x) => block.forwardQuantized(x));
      }
      block.dispose();
    }
    this.#blocks = this.#blocks.slice(leaving.length);
    return errors;
  }

  // Chooses the codes of a block that could not be trained, Linear by Linear, at its own input.
  *#fallBack(block: QuantizedUnit): Generator<RecipeEvent, void> {
    const { job } = this;
    for (const layer of block.layers.values()) layer.dropPath();
    yield* chooseColumns(
      { job, parts: this.#parts, warnings: this.#warnings },
      block,
      this.#quantized,
      gptqRule(job.options),
    );
  }

  #measure(targets: readonly PortStore[]): BranchLoss | null {
    const { recipe, job } = this;
    const { error } = recipe;
    if (error === undefined || this.#input === null || targets.length === 0) return null;
    for (const block of this.#blocks) block.previewHard();
    const losses = measureWindow(
      this.#blocks,
      this.#input,
      targets,
      (target, actual) => error(target, actual, job.options),
      this.#parts,
      measuredSequences(this.#input),
    );
    return branchLoss(losses, this.#chain.targets);
  }

  // A new store that holds `from` after it went through blocks in full precision.
  #through(from: PortStore, blocks: readonly QuantizedUnit[]): PortStore {
    const to = createPortStore(from.shape, this.#storage, this.job);
    return freeOnError([to], () => {
      this.#advance(from, to, (x) => forwardAll(blocks, x, (unit, ports) => unit.forwardFull(ports)));
      return to;
    });
  }

  #advance(from: PortStore, to: PortStore, run: (x: Ports, part: readonly number[]) => Ports): void {
    advance(from, to, this.#parts, (x, part) => {
      this.job.poll();
      return run(x, part);
    });
  }
}
