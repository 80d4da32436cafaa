import type { Storage } from "../../calibration/activation-store.js";
import type { TokenSequences } from "../../calibration/token-sequences.js";
import type { TensorReader } from "../../checkpoint/tensor-reader.js";
import type { Network } from "../../network/index.js";
import type { TensorGrid } from "../../quant/input/asymmetric-tensor.js";
import type { KeyedGrid } from "../../quant/input/keyed-grid.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import type { Scheme } from "../../quant/scheme.js";
import type { GradientPrecision } from "../../reconstruct/quantized-layer.js";
import type { Device } from "../../tensor/index.js";
import type { EngineOptions } from "../options/engine-options.js";
import type { Recipe } from "../recipe.js";
import type { RecipeState, StateTensor } from "../state/saved-state.js";

/** Token ids of the calibration sequences. */
export type CalibrationTokens = TokenSequences;

/** Everything a recipe needs to quantize a network, with the options `O` that it sees. It reads the checkpoint unit by unit. */
export interface RecipeJob<O extends EngineOptions = EngineOptions> {
  readonly checkpoint: TensorReader;
  readonly network: Network;
  readonly recipe: Recipe;
  readonly scheme: Scheme;
  /** `rotation` says what was done to `checkpoint` (`RotatedModel`); a recipe does not rotate. */
  readonly options: O;
  /** Bits of Linears by module name where they share a budget; the scheme's without it, and an override's in any case. */
  readonly allocation?: ReadonlyMap<string, number>;
  /**
   * How inputs of Linears are quantized, by module name, where that was learnt with the model: it is not measured then.
   * Read where ranges are those of whole tensors.
   */
  readonly inputGrids?: ReadonlyMap<string, TensorGrid>;
  /** The network's input that tells the time step, where it is one of a diffusion model. */
  readonly timeInput?: string;
  readonly seed: number;
  /** Null when no text was given; only a recipe that needs none, without calibrated ranges, can do with that. */
  readonly tokens: CalibrationTokens | null;
  readonly device: Device;
  /** Arithmetic of the matrix products; what is trained stays in float32. */
  readonly dtype: "float32" | "bfloat16";
  /** Arithmetic of the products of the backward pass in windows. */
  readonly gradients: GradientPrecision;
  /** Where the two activation streams wait; `auto` takes the first of device, host and disk that has room. */
  readonly storage: Storage | "auto";
  /** Folder for streams that wait on the disk. */
  readonly scratch: string;
  /** Where an earlier run of the same job got to; null to begin with the first window. */
  readonly resume: RecipeState | null;
  /** To be called between steps, several times a second: throws when the run was cancelled. */
  readonly poll: () => void;
  readonly sink: RecipeSink;
  /** What the sink was given, by this process or before, for end-to-end training; null where nothing keeps it: then there is none. */
  readonly results: RecipeResults | null;
}

/**
 * Takes results as soon as they are final, that is when a block leaves its window, so that the recipe
 * holds neither the codes of the whole network nor all that a killed run would lose.
 */
export interface RecipeSink {
  /** A hardened Linear, by module name without `.weight`. Each exactly once. */
  linear(name: string, weight: QuantizedWeight): void;
  /** A tensor that folding or training changed, by full name, in its source dtype and shape. Each at most once. */
  plain(name: string, bytes: Uint8Array): void;
  /** Other scales `[rows, groups]` under the codes of a Linear that was handed over. */
  rescaled(name: string, scales: Float32Array): void;
  /**
   * How the input of a Linear is quantized: the clip factor (granularity `token`) or the step
   * (granularity `tensor`), with a zero point where its range does not lie evenly around zero, and its bits where they are not
   * the scheme's. None for A16; the last one counts.
   */
  activation(name: string, value: number, zeroPoint?: number, bits?: number): void;
  /** The same where the range depends on another input of the network, a time step; the last one counts. */
  inputGrid?(name: string, grid: KeyedGrid): void;
  /**
   * A window is done and all of it was handed over. `state` is what the next one starts from; empty
   * when it starts from nothing but the checkpoint, and after the last. `microBatch` sequences are on the device
   * at once from here on: fewer than the job asked for once memory has run out.
   */
  windowDone(window: WindowDoneEvent, state: readonly StateTensor[], microBatch: number): void;
  /** Called while a device has work for about this many seconds: time for some of what was handed over. */
  meanwhile?(seconds: number): void;
}

/** What was handed over of blocks that are finished. */
export interface RecipeResults {
  readLinear(name: string): QuantizedWeight;
  /** The tensor that folding changed, as `plain` was given it; null for one that is as the checkpoint has it. */
  readPlain(name: string): Uint8Array | null;
  /** The clip factor or step of a Linear's input. */
  activationOf(name: string): number | null;
  /** The zero point of a Linear's input; null where it has none. */
  zeroPointOf?(name: string): number | null;
  /** The ranges of a Linear's input by time step; null where it has none. */
  inputGridOf?(name: string): KeyedGrid | null;
}

/** Error of one quantized Linear's output on the calibration stream: `|y - y'|^2 / |y|^2`. */
export interface LayerError {
  readonly name: string;
  readonly relativeError: number;
  /** Calibration tokens that each expert of a stack computes, where they were counted. */
  readonly tokens?: readonly number[] | undefined;
}

/** Reconstruction losses of a window: from the full-precision stream and from the quantized one. */
export interface BranchLoss {
  readonly total: number;
  /** Inputs from the full-precision stream; null when no loss uses them. */
  readonly fullPrecision: number | null;
  /** Inputs from the quantized stream; null when no loss uses them. */
  readonly quantized: number | null;
}

/** Work that has no loss: reading, embedding, folding, collecting Hessians. */
export interface ProgressEvent {
  readonly event: "progress";
  /** What is being done, in the words of a screen: "reading weights". */
  readonly stage: string;
  readonly done: number;
  readonly total: number;
}

/** A window of blocks begins. `rtn` and `gptq` call each block a window. */
export interface WindowStartEvent {
  readonly event: "window-start";
  /** Counted from 0. */
  readonly window: number;
  readonly windows: number;
  /** First and last block. */
  readonly blocks: readonly [number, number];
  /** Parameters that are trained in it. */
  readonly trainable: number;
}

/** One optimisation step is done. */
export interface StepEvent {
  readonly event: "step";
  readonly window: number;
  readonly windows: number;
  /** Counted from 0. */
  readonly epoch: number;
  readonly epochs: number;
  /** Steps done in this window, counted over all epochs. */
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  readonly tokensPerSecond: number;
}

export interface WindowDoneEvent {
  readonly event: "window-done";
  readonly window: number;
  readonly windows: number;
  readonly blocks: readonly [number, number];
  /** Null where nothing is reconstructed (`rtn`, `gptq`). */
  readonly lossBefore: BranchLoss | null;
  /** Of the hardened codes. */
  readonly lossAfter: BranchLoss | null;
  /** The Linears that were hardened with it. */
  readonly layers: readonly LayerError[];
  readonly seconds: number;
}

/** Something went otherwise than planned, and the run goes on. */
export interface WarningEvent {
  readonly event: "warning";
  readonly message: string;
  /** Layer, window, file or option. */
  readonly where: string;
  readonly next: string;
}

export type RecipeEvent = ProgressEvent | WindowStartEvent | StepEvent | WindowDoneEvent | WarningEvent;

/** What a run of a recipe returns at its end. */
export interface RecipeReport {
  /** Bytes that the device's memory held at most; null where libtorch can't tell. */
  readonly devicePeakBytes: number | null;
}
