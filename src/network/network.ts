import type { Device, DType, Tensor } from "../tensor/index.js";
import type { TensorSource } from "./owned-weights.js";
import type { Ports, RunUnit, UnitPlan } from "./unit.js";

/** A network as units, one after the other, before anything is loaded. */
export interface Network {
  readonly units: readonly UnitPlan[];
  /**
   * Inputs of its layers are quantized on one asymmetric grid for each tensor, fixed by calibration: what runs an ONNX graph knows
   * no other. Absent where options choose.
   */
  readonly staticInputs?: true;
  /** Width of what its units hand on: the hidden size of a decoder. */
  readonly width: number;
  /**
   * What a unit is given, of one sequence of so many positions: shapes by port. Of the first one unless another is asked for;
   * the number of the units stands for what the last one gives.
   */
  ports(length: number, unit?: number): Readonly<Record<string, readonly number[]>>;
  /** The same with every layer a unit of its own; absent where units can't be cut further. */
  inLayers?(): Network;
  /** The same with what a single unit reads of time steps and other conditions in that unit; absent where nothing is told any. */
  withReaders?(): Network;
  /** What its units need to run sequences of at most `length` positions. */
  open(to: UnitPlacement): OpenNetwork;
  /** Loads what comes before the units. @throws CheckpointError naming the tensor */
  begin(source: TensorSource): NetworkStart;
  /** Loads what comes after the units. @throws CheckpointError naming the tensor */
  end(source: TensorSource): NetworkEnd;
}

/** Where units run. */
export interface UnitPlacement {
  readonly device: Device;
  readonly dtype: DType;
  /** Positions of the longest sequence. */
  readonly length: number;
}

export interface OpenNetwork extends Disposable {
  readonly run: RunUnit;
}

/** What comes before the units. */
export interface NetworkStart {
  /** The first unit's input of token ids `ids`, row by row `[sequences, length]`; differentiable in the weights. */
  run(ids: Int32Array, shape: readonly [sequences: number, length: number]): Ports;
  dispose(): void;
}

/** What comes after the units. */
export interface NetworkEnd {
  /** The port that it reads, `[sequences, positions, width]`. */
  readonly port: string;
  /** Logits `[rows, classes]` of states `[rows, width]`. */
  readonly head: (states: Tensor) => Tensor;
  dispose(): void;
}
