import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileSystemError } from "../../checkpoint/file-system/file-system-error.js";
import { writeFileAtomicallySync } from "../../checkpoint/file-system/write-file-atomically.js";
import { FormatError } from "../../errors.js";
import { packingRows } from "../../format/bits/packed-rows.js";
import { toEnd } from "../../format/bits/to-end.js";
import { hashingWeight, scalesHash } from "../../format/bits/weight-hash.js";
import { assertSound, assertSoundScales } from "../../format/contract/assert-sound.js";
import type { KeyedGrid } from "../../quant/input/keyed-grid.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import type { RecipeSink } from "../../recipe/job/recipe-job.js";
import type { RecipeState, StateTensor } from "../../recipe/state/saved-state.js";
import type { RecipeEvent, WindowDoneEvent } from "../events/events.js";
import { dropOldStates, type Manifest, manifestFile, manifestText, newManifest } from "./manifest.js";
import { type RecoverOptions, recoverManifest } from "./recover-manifest.js";
import { Artefact, syncArtefact, writingArtefact } from "./saved/artefact.js";
import { FinishedWindows } from "./saved/finished-windows.js";
import { LossCurve } from "./saved/loss-curve.js";
import { type PackedLinear, stateTensor, type WindowContent, windowArtefact } from "./saved/saved-window.js";
import { StatePace } from "./state-pace.js";

/** What the processes of a run chose by themselves, and a continued one follows. */
export type Chosen = Manifest["chosen"];

/** The work directory is made when it is not there. */
export interface JournalOptions extends RecoverOptions {
  /** Asked when the run begins. */
  readonly choose: () => Chosen;
  /** Says after which windows the state is saved. */
  readonly pace?: Pace;
}

type Pace = Pick<StatePace, "isDue" | "time">;

/**
 * Keeps what a run has finished in its work directory, window by window, and shows all of it to the
 * writers at the end. The manifest is written last: what it does not name never happened.
 */
export class Journal implements RecipeSink, Disposable {
  /** Windows of the whole run. */
  readonly windows: number;
  /** Those that are done, by earlier processes too; to read them ends the writing of the last one. */
  readonly finished: FinishedWindows;
  readonly #options: JournalOptions;
  readonly #manifest: Manifest;
  /** Linears that were handed over, by this process or before. */
  readonly #linears = new Set<string>();
  readonly #state: Artefact | null;
  readonly #pace: Pace;
  /** Windows that may not have reached the disk. */
  #volatile: string[] = [];
  #pending: WindowContent = emptyWindow();
  /** A window that was handed over and is not written yet. */
  #writing: Generator<void, void> | null = null;

  private constructor(options: JournalOptions, manifest: Manifest) {
    this.#options = options;
    this.#pace = options.pace ?? new StatePace();
    this.#manifest = manifest;
    this.windows = options.windows(manifest.chosen);
    this.finished = new FinishedWindows(options.folder, () => {
      this.#finishWriting();
      return manifest.windows;
    });
    const next = manifest.windows.length;
    const state = next === this.windows ? null : (manifest.states[next] ?? null);
    try {
      for (const { linears } of this.finished.all) for (const name of linears.keys()) this.#linears.add(name);
      this.#state = state === null ? null : Artefact.open(join(options.folder, state.file));
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Opens a work directory with what can be continued of it (`recoverManifest`).
   *
   * @throws InputError when it belongs to a run of other parameters; EnvironmentError when the
   *   folder can't be read or made
   */
  static async open(options: JournalOptions): Promise<Journal> {
    const { folder } = options;
    try {
      mkdirSync(folder, { recursive: true });
    } catch (error) {
      throw fileSystemError(error, "the work directory can't be made", folder);
    }
    return new Journal(options, (await recoverManifest(options)) ?? newManifest(options.identity, options.choose()));
  }

  /** What has to stay as the first process chose it, or came to. */
  get chosen(): Chosen {
    return this.#manifest.chosen;
  }

  /** Keeps how bits were shared out, before the first window: a continued run takes them as they are. */
  chooseAllocation(allocation: NonNullable<Chosen["allocation"]>): void {
    this.#manifest.chosen.allocation = allocation;
    writeFileAtomicallySync(join(this.#options.folder, manifestFile), manifestText(this.#manifest));
  }

  /** Where the recipe goes on. */
  get resume(): RecipeState {
    return {
      window: this.#manifest.windows.length,
      read: (name, begin, end) => {
        if (this.#state === null) throw new TypeError(`window ${this.#manifest.windows.length} has no saved state`);
        return this.#state.read(name, begin, end);
      },
    };
  }

  /** Whether there is nothing left to do for the recipe. */
  get isComplete(): boolean {
    return this.#manifest.windows.length === this.windows;
  }

  linear(name: string, weight: QuantizedWeight): void {
    if (this.#pending.linears.has(name) || this.#linears.has(name)) {
      throw new TypeError(`${name} was handed over twice`);
    }
    this.#pending.linears.set(name, weight);
  }

  plain(name: string, bytes: Uint8Array): void {
    this.#pending.plain.set(name, bytes);
  }

  rescaled(name: string, scales: Float32Array): void {
    const layout = this.finished.holderOf(name).linears.get(name);
    const groups = layout === undefined ? 0 : layout.rows * (layout.columns / layout.groupSize);
    if (scales.length !== groups) throw new TypeError(`${name} has ${groups} scales, and was given ${scales.length}`);
    assertSoundScales(scales, name);
    this.#pending.rescaled.set(name, { scales, hash: scalesHash(scales, layout?.rows ?? 0) });
  }

  activation(name: string, value: number, zeroPoint?: number): void {
    if (!(value > 0 && Number.isFinite(value))) {
      throw new FormatError({
        where: name,
        what: `the range of its input is ${value}`,
        why: "the calibration activations are not finite here",
        next: "use --set activation.granularity=token, or leave it out with an override (skip)",
      });
    }
    this.#pending.activations.set(name, value);
    if (zeroPoint !== undefined) this.#pending.zeroPoints.set(name, zeroPoint);
  }

  inputGrid(name: string, grid: KeyedGrid): void {
    const broken = grid.scales.find((scale) => !(scale > 0 && Number.isFinite(scale)));
    if (broken !== undefined) {
      throw new FormatError({
        where: name,
        what: `a range of its input is ${broken}`,
        why: "the examples of a time step are not finite here",
        next: "leave it out with an override (skip)",
      });
    }
    this.#pending.inputGrids.set(name, grid);
  }

  /** What belongs to the window under way: when it begins, the losses of its steps, its warnings. */
  observe(event: RecipeEvent): void {
    if (event.event === "window-start") this.#pending.start = new Date().toISOString();
    else if (event.event === "step") this.#pending.losses.add(event);
    else if (event.event === "warning") this.#pending.warnings.push(event);
  }

  windowDone(done: WindowDoneEvent, state: readonly StateTensor[], microBatch: number): void {
    this.#finishWriting();
    const saved = state.length > 0 && !this.#pace.isDue ? null : state;
    this.#writing = this.#write(done, this.#pending, saved, microBatch);
    for (const name of this.#pending.linears.keys()) this.#linears.add(name);
    this.#pending = emptyWindow();
    // The state is gone once the recipe goes on; without it nothing is lost when the codes come a little later.
    if (saved !== null) this.#finishWriting();
  }

  /** Writes on for half of that time: a piece may take longer than the last one. */
  meanwhile(seconds: number): void {
    const until = performance.now() + seconds * 500;
    while (this.#writing !== null && performance.now() < until) {
      if (this.#writing.next().done === true) this.#writing = null;
    }
  }

  [Symbol.dispose](): void {
    this.#writing?.return();
    this.#state?.[Symbol.dispose]();
  }

  // Window and state, null for one that is not saved this time, and then the manifest that names them.
  *#write(
    done: WindowDoneEvent,
    content: WindowContent,
    state: readonly StateTensor[] | null,
    microBatch: number,
  ): Generator<void, void> {
    const { folder } = this.#options;
    const { windows, states, chosen } = this.#manifest;
    const next = windows.length + 1;
    const { tensors, record } = windowArtefact(done, content, yield* packing(content.linears));
    // Without a state a run goes on from before this window: so it does should the machine not outlast it.
    const durable = state !== null;
    const window = yield* writingArtefact(folder, `window-${number(done.window)}`, tensors, record, { durable });
    if (state === null) {
      this.#volatile.push(window.file);
    } else {
      const write = () => {
        for (const file of this.#volatile.splice(0)) syncArtefact(folder, file);
        if (state.length === 0) return null;
        return toEnd(writingArtefact(folder, `state-${number(next)}`, state.map(stateTensor), { window: next }));
      };
      states[next] = state.length === 0 ? write() : this.#pace.time(write);
    }
    windows.push(window);
    // A continued process would run out of memory once more otherwise, and sum in another order until then.
    chosen.microBatch = microBatch;
    const dropped = dropOldStates(states, next);
    writeFileAtomicallySync(join(folder, manifestFile), manifestText(this.#manifest));
    for (const { file } of dropped) rmSync(join(folder, file), { force: true });
  }

  #finishWriting(): void {
    const writing = this.#writing;
    this.#writing = null;
    if (writing !== null) toEnd(writing);
  }
}

// Checked, hashed and packed, one after the other; of each only the packed form remains.
function* packing(linears: Map<string, QuantizedWeight>): Generator<void, Map<string, PackedLinear>> {
  const packed = new Map<string, PackedLinear>();
  for (const [name, weight] of linears) {
    assertSound(weight, name);
    yield;
    const hash = yield* hashingWeight(weight);
    const { codes, ...layout } = weight;
    packed.set(name, { weight: { ...layout, words: yield* packingRows(weight) }, hash });
    linears.delete(name);
  }
  return packed;
}

function emptyWindow(): WindowContent {
  return {
    linears: new Map(),
    plain: new Map(),
    rescaled: new Map(),
    activations: new Map(),
    zeroPoints: new Map(),
    inputGrids: new Map(),
    warnings: [],
    start: null,
    losses: new LossCurve(),
  };
}

function number(window: number): string {
  return `${window}`.padStart(5, "0");
}
