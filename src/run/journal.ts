import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileSystemError } from "../checkpoint/file-system-error.js";
import type { TensorReader } from "../checkpoint/tensor-reader.js";
import { writeFileAtomicallySync } from "../checkpoint/write-file-atomically.js";
import { FormatError } from "../errors.js";
import { assertSound, assertSoundScales } from "../format/assert-sound.js";
import type { ExportSource } from "../format/export-source.js";
import { compareTensorNames } from "../format/output-tensors.js";
import type { QuantizedWeight } from "../quant/quantized-weight.js";
import type { RecipeResults, RecipeSink } from "../recipe/recipe-job.js";
import type { RecipeState, StateTensor } from "../recipe/saved-state.js";
import { Artefact, type ArtefactEntry, isIntact, writingArtefact } from "./artefact.js";
import type { WarningEvent, WindowDoneEvent } from "./events.js";
import {
  isArtefactName,
  KEPT_STATE_BYTES,
  KEPT_STATES,
  type Manifest,
  manifestFile,
  manifestText,
  readManifest,
} from "./manifest.js";
import { checkSameRun, type RunIdentity } from "./run-identity.js";
import { SavedWindow, stateTensor, type WindowContent, windowArtefact } from "./saved-window.js";
import { StatePace } from "./state-pace.js";

/** What the processes of a run chose by themselves, and a continued one follows. */
export type Chosen = Manifest["chosen"];

export interface JournalOptions {
  /** The work directory; made when it is not there. */
  readonly folder: string;
  readonly identity: RunIdentity;
  /** Windows of the whole run, with what its first process chose. */
  readonly windows: (chosen: Chosen) => number;
  /** Asked when the run begins. */
  readonly choose: () => Chosen;
  readonly warn: (warning: WarningEvent) => void;
  readonly poll: () => void;
  /** Says behind which windows the state is saved. */
  readonly pace?: Pace;
}

type Pace = Pick<StatePace, "isDue" | "time">;

/**
 * Keeps what a run has finished in its work directory, window by window, and shows all of it to the
 * writers at the end. The manifest is written last: what it does not name never happened.
 */
export class Journal implements RecipeSink, RecipeResults, Disposable {
  /** Windows of the whole run. */
  readonly windows: number;
  readonly #options: JournalOptions;
  readonly #manifest: Manifest;
  /** Those that were opened: names of thousands of windows are many, and only the writers want them. */
  readonly #opened: SavedWindow[] = [];
  /** Linears that were handed over, by this process or before. */
  readonly #linears = new Set<string>();
  readonly #state: Artefact | null;
  readonly #pace: Pace;
  #pending: WindowContent = emptyWindow();
  /** A window that was handed over and is not written yet. */
  #writing: Generator<void, void> | null = null;

  private constructor(options: JournalOptions, manifest: Manifest) {
    this.#options = options;
    this.#pace = options.pace ?? new StatePace();
    this.#manifest = manifest;
    this.windows = options.windows(manifest.chosen);
    const next = manifest.windows.length;
    const state = next === this.windows ? null : (manifest.states[next] ?? null);
    try {
      for (const { linears } of this.#windows()) for (const name of linears.keys()) this.#linears.add(name);
      this.#state = state === null ? null : Artefact.open(join(options.folder, state.file));
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Opens a work directory. Saved windows are taken as far as they and the state behind them are
   * intact; what is damaged is removed with a warning.
   *
   * @throws InputError when it belongs to a run of other parameters; EnvironmentError when the
   *   folder can't be read or made
   */
  static async open(options: JournalOptions): Promise<Journal> {
    const { folder, identity, warn } = options;
    try {
      mkdirSync(folder, { recursive: true });
    } catch (error) {
      throw fileSystemError(error, "the work directory can't be made", folder);
    }
    const saved = await readManifest(folder);
    if (saved === "damaged") warn(damaged(join(folder, manifestFile), "nothing of the run can be continued"));
    if (saved === null || saved === "damaged") return new Journal(options, newManifest(options));
    checkSameRun(saved.identity, identity, folder);
    const manifest = intactPart(saved, options);
    removeUnnamed(folder, manifest);
    return new Journal(options, manifest);
  }

  /** What has to stay as the first process chose it, or came to. */
  get chosen(): Chosen {
    return this.#manifest.chosen;
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

  /** Finished windows, those of earlier processes included. */
  get windowsDone(): WindowDoneEvent[] {
    return this.#windows().map(({ done }) => done);
  }

  /** Warnings of the finished windows. */
  get warnings(): WarningEvent[] {
    return this.#windows().flatMap(({ warnings }) => warnings);
  }

  /** Clip factors or steps of the inputs by module name. */
  get activations(): ReadonlyMap<string, number> {
    return new Map(this.#windows().flatMap(({ activations }) => [...activations]));
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
    const layout = this.#holderOf(name).linears.get(name);
    const groups = layout === undefined ? 0 : layout.rows * (layout.columns / layout.groupSize);
    if (scales.length !== groups) throw new TypeError(`${name} has ${groups} scales, and was given ${scales.length}`);
    assertSoundScales(scales, name);
    this.#pending.rescaled.set(name, scales);
  }

  activation(name: string, value: number): void {
    if (!(value > 0 && Number.isFinite(value))) {
      throw new FormatError({
        where: name,
        what: `the range of its input is ${value}`,
        why: "the calibration activations are not finite here",
        next: "use --set activation.granularity=token, or leave it out with an override (skip)",
      });
    }
    this.#pending.activations.set(name, value);
  }

  /** A warning that belongs to the window under way. */
  warning(event: WarningEvent): void {
    this.#pending.warnings.push(event);
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

  /** A finished Linear, under the scales that it has by now. */
  readLinear(name: string): QuantizedWeight {
    const weight = this.#holderOf(name).readLinear(name);
    const scales = this.#windows()
      .findLast(({ rescaled }) => rescaled.has(name))
      ?.readScales(name);
    return scales === undefined ? weight : { ...weight, scales };
  }

  // A continued run folds an overlapping block again, and the later one belongs to its codes.
  readPlain(name: string): Uint8Array | null {
    return (
      this.#windows()
        .findLast(({ plain }) => plain.has(name))
        ?.readPlain(name) ?? null
    );
  }

  activationOf(name: string): number | null {
    return (
      this.#windows()
        .findLast(({ activations }) => activations.has(name))
        ?.activations.get(name) ?? null
    );
  }

  /** Names of the tensors that are not quantized and yet not those of the source model: CFP folds into them. */
  get changed(): readonly string[] {
    return [...new Set(this.#windows().flatMap((window) => [...window.plain]))].sort(compareTensorNames);
  }

  /**
   * The finished result: quantized Linears from here, all else from the checkpoint unless it was folded. In the order
   * of the written files, so that an export of those comes out the same byte for byte.
   */
  exportSource(
    checkpoint: TensorReader,
    { name, config, activations }: Pick<ExportSource, "config" | "activations"> & { readonly name: string },
  ): ExportSource {
    const linears = this.#windows().flatMap((window) => [...window.linears]);
    const modules = new Set(linears.map(([module]) => module));
    const plain = [...checkpoint.tensors].filter(([tensor]) => !modules.has(moduleOf(tensor)));
    return {
      name,
      config,
      folder: checkpoint.folder,
      linears: new Map(linears.sort(([a], [b]) => compareTensorNames(`${a}.weight`, `${b}.weight`))),
      plain: new Map(plain.sort(([a], [b]) => compareTensorNames(a, b))),
      activations,
      inputScales: activations?.dynamic === false ? this.activations : new Map(),
      readQuantized: async (name) => this.readLinear(name),
      readPlain: async (name) => this.readPlain(name) ?? checkpoint.read(name),
    };
  }

  [Symbol.dispose](): void {
    this.#writing?.return();
    this.#state?.[Symbol.dispose]();
  }

  #holderOf(name: string): SavedWindow {
    const holder = this.#windows().find(({ linears }) => linears.has(name));
    if (holder === undefined) throw new TypeError(`${name} was not quantized`);
    return holder;
  }

  #windows(): readonly SavedWindow[] {
    this.#finishWriting();
    for (const { file } of this.#manifest.windows.slice(this.#opened.length)) {
      this.#opened.push(SavedWindow.open(join(this.#options.folder, file)));
    }
    return this.#opened;
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
    for (const [name, weight] of content.linears) {
      assertSound(weight, name);
      yield;
    }
    const { tensors, record } = windowArtefact(done, content);
    // Without a state a run goes on from before this window: so it does should the machine not outlast it.
    const durable = state !== null;
    const window = yield* writingArtefact(folder, `window-${number(done.window)}`, tensors, record, { durable });
    if (state !== null) {
      const write = () =>
        toEnd(writingArtefact(folder, `state-${number(next)}`, state.map(stateTensor), { window: next }));
      states[next] = state.length === 0 ? null : this.#pace.time(write);
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

function toEnd<T>(work: Generator<void, T>): T {
  for (;;) {
    const next = work.next();
    if (next.done === true) return next.value;
  }
}

function emptyWindow(): WindowContent {
  return { linears: new Map(), plain: new Map(), rescaled: new Map(), activations: new Map(), warnings: [] };
}

function newManifest({ identity, choose }: JournalOptions): Manifest {
  const created = new Date().toISOString();
  return { format: 1, created, identity: { ...identity }, chosen: choose(), windows: [], states: {} };
}

// The longest run of intact windows behind which the next one can start.
function intactPart(saved: Manifest, { folder, windows, warn, poll }: JournalOptions): Manifest {
  const total = windows(saved.chosen);
  const intact = (entry: ArtefactEntry, consequence: string): boolean => {
    if (isIntact(folder, entry, poll)) return true;
    warn(damaged(join(folder, entry.file), consequence));
    rmSync(join(folder, entry.file), { force: true });
    return false;
  };
  const broken = saved.windows.findIndex((entry, i) => !intact(entry, `window ${i + 1} is done again`));
  let next = broken === -1 ? saved.windows.length : broken;
  for (; next > 0 && next < total; next--) {
    const state = saved.states[next];
    if (state === null) break;
    if (state !== undefined && intact(state, `window ${next} is done again`)) break;
  }
  const states = Object.fromEntries(Object.entries(saved.states).filter(([window]) => Number(window) <= next));
  return { ...saved, windows: saved.windows.slice(0, next), states };
}

// What a killed process was about to write: its name never got into the manifest.
function removeUnnamed(folder: string, { windows, states }: Manifest): void {
  const named = new Set([...windows, ...Object.values(states)].map((entry) => entry?.file));
  for (const file of readdirSync(folder)) {
    if (isArtefactName(file) && !named.has(file)) rmSync(join(folder, file), { force: true });
  }
}

function dropOldStates(states: Manifest["states"], newest: number): ArtefactEntry[] {
  const dropped: ArtefactEntry[] = [];
  let [kept, bytes] = [0, 0];
  for (let window = newest; window >= 0; window--) {
    const entry = states[window];
    if (entry === null || entry === undefined) continue;
    kept++;
    bytes += entry.bytes;
    // The last one that was saved stays, however large: a run without any begins anew.
    if (kept === 1 || (kept <= KEPT_STATES && bytes <= KEPT_STATE_BYTES)) continue;
    dropped.push(entry);
    delete states[window];
  }
  return dropped;
}

function damaged(where: string, consequence: string): WarningEvent {
  return {
    event: "warning",
    message: `is missing or not what was written: it is discarded, and ${consequence}`,
    where,
    next: "nothing to do; if it happens again, check the disk",
  };
}

function number(window: number): string {
  return `${window}`.padStart(5, "0");
}

function moduleOf(tensor: string): string {
  return tensor.endsWith(".weight") ? tensor.slice(0, -".weight".length) : "";
}
