import { join } from "node:path";
import type { TensorReader } from "../../../checkpoint/tensor-reader.js";
import { type PackedWeight, unpackedWeight } from "../../../format/bits/packed-rows.js";
import type { WeightHash } from "../../../format/bits/weight-hash.js";
import type { ExportSource } from "../../../format/contract/export-source.js";
import { compareTensorNames } from "../../../format/contract/output-tensors.js";
import type { KeyedGrid } from "../../../quant/input/keyed-grid.js";
import type { QuantizedWeight } from "../../../quant/quantized-weight.js";
import type { RecipeResults } from "../../../recipe/job/recipe-job.js";
import type { WarningEvent, WindowDoneEvent } from "../../events/events.js";
import type { WindowRecord } from "../../result/result-record.js";
import type { ArtefactEntry } from "./artefact.js";
import { SavedWindow } from "./saved-window.js";

/**
 * What the finished windows of a run hold together, as end-to-end training and the writers read it: where two windows handed
 * over the same, the later one counts.
 */
export class FinishedWindows implements RecipeResults {
  readonly #folder: string;
  readonly #entries: () => readonly ArtefactEntry[];
  /** Names of thousands of windows are many, and only the writers want them: so each is opened when it is asked for. */
  readonly #opened: SavedWindow[] = [];

  /** @param entries the windows of the manifest; there are more of them as the run goes on */
  constructor(folder: string, entries: () => readonly ArtefactEntry[]) {
    this.#folder = folder;
    this.#entries = entries;
  }

  /**
   * Those that are written, in their order.
   *
   * @throws CheckpointError when a file is damaged
   */
  get all(): readonly SavedWindow[] {
    for (const { file } of this.#entries().slice(this.#opened.length)) {
      this.#opened.push(SavedWindow.open(join(this.#folder, file)));
    }
    return this.#opened;
  }

  /** Finished windows, those of earlier processes included. */
  get done(): WindowDoneEvent[] {
    return this.all.map(({ done }) => done);
  }

  /** The same as a result records them. */
  get records(): WindowRecord[] {
    return this.all.map(({ done: { event: _, ...done }, start, losses }) => ({ ...done, start, losses }));
  }

  /** Warnings of the finished windows. */
  get warnings(): WarningEvent[] {
    return this.all.flatMap(({ warnings }) => warnings);
  }

  /** Clip factors or steps of the inputs by module name. */
  get activations(): ReadonlyMap<string, number> {
    return new Map(this.all.flatMap(({ activations }) => [...activations]));
  }

  /** Codes that stand for zero in inputs whose ranges do not lie evenly around it, by module name. */
  get zeroPoints(): ReadonlyMap<string, number> {
    return new Map(this.all.flatMap(({ zeroPoints }) => [...zeroPoints]));
  }

  /** Grids of inputs by time step, by module name. */
  get inputGrids(): ReadonlyMap<string, KeyedGrid> {
    return new Map(this.all.flatMap(({ inputGrids }) => [...inputGrids]));
  }

  /** A finished Linear, under the scales that it has by now. */
  readLinear(name: string): QuantizedWeight {
    return unpackedWeight(this.readPacked(name));
  }

  /** The same as it is kept. */
  readPacked(name: string): PackedWeight {
    const weight = this.holderOf(name).readLinear(name);
    const scales = this.all.findLast(({ rescaled }) => rescaled.has(name))?.readScales(name);
    return scales === undefined ? weight : { ...weight, scales };
  }

  /** The hashes of a finished Linear, made of what was handed over before it was written. */
  hashOf(name: string): WeightHash {
    const { codes, scales } = this.holderOf(name).hashOf(name);
    const last = this.all.findLast(({ rescaled }) => rescaled.has(name));
    return { codes, scales: last?.rescaled.get(name) ?? scales };
  }

  // A continued run folds an overlapping block again, and the later one belongs to its codes.
  readPlain(name: string): Uint8Array | null {
    return this.all.findLast(({ plain }) => plain.has(name))?.readPlain(name) ?? null;
  }

  activationOf(name: string): number | null {
    return this.all.findLast(({ activations }) => activations.has(name))?.activations.get(name) ?? null;
  }

  zeroPointOf(name: string): number | null {
    return this.all.findLast(({ zeroPoints }) => zeroPoints.has(name))?.zeroPoints.get(name) ?? null;
  }

  inputGridOf(name: string): KeyedGrid | null {
    return this.all.findLast(({ inputGrids }) => inputGrids.has(name))?.inputGrids.get(name) ?? null;
  }

  /** Names of the tensors that are not quantized and yet not those of the source model: CFP folds into them. */
  get changed(): readonly string[] {
    return [...new Set(this.all.flatMap((window) => [...window.plain]))].sort(compareTensorNames);
  }

  /**
   * The finished result: quantized Linears from here, all else from the checkpoint unless it was folded. In the order
   * of the written files, so that an export of those comes out the same byte for byte.
   */
  exportSource(
    checkpoint: TensorReader,
    { name, config, activations }: Pick<ExportSource, "config" | "activations"> & { readonly name: string },
  ): ExportSource {
    const linears = this.all.flatMap((window) => [...window.linears]);
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
      ...(activations?.zeroPoint !== undefined && { inputZeroPoints: this.zeroPoints }),
      readQuantized: async (name) => this.readLinear(name),
      readPacked: async (name) => this.readPacked(name),
      readPlain: async (name) => this.readPlain(name) ?? checkpoint.read(name),
    };
  }

  /** The window that handed a Linear over. */
  holderOf(name: string): SavedWindow {
    const holder = this.all.find(({ linears }) => linears.has(name));
    if (holder === undefined) throw new TypeError(`${name} was not quantized`);
    return holder;
  }
}

function moduleOf(tensor: string): string {
  return tensor.endsWith(".weight") ? tensor.slice(0, -".weight".length) : "";
}
