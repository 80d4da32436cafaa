import type { SafetensorsDType } from "./dtype.js";
import type { ReadBuffer } from "./read-buffer.js";

/** One tensor of a checkpoint: everything except its bytes. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  /** Name of the safetensors file that holds it, inside the model folder. */
  readonly file: string;
  readonly byteLength: number;
}

/** The weights that a run begins with: those of a folder, or what stands in their place. */
export interface FolderWeights extends TensorReader {
  /** A part of a tensor's bytes, for tensors that are too large for one buffer (4 GiB in Node 20). */
  readRangeSync(name: string, begin: number, end: number): Uint8Array;
  /** Reading afterwards is an error. */
  close(): void;
  /** How its weights are stored, where that is not in floating point; `tensors` are then what they are decoded to. */
  readonly encoding?: WeightEncoding;
}

/** Weights that are stored in codes and read as floating point. */
export interface WeightEncoding {
  /** For people: `fp8`, `int4 (gptq)`. */
  readonly name: string;
  /** What they are read as. */
  readonly dtype: SafetensorsDType;
  /** How many weights. */
  readonly weights: number;
  /** Stored tensors that nothing reads: scales of inputs that a runtime would quantize. */
  readonly unused: readonly string[];
}

/** Where a model's tensors are read from: a checkpoint on disk, or what stands for another one. */
export interface TensorReader {
  /** The model folder that the other files lie in. */
  readonly folder: string;
  /** By full name. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** The bytes of one tensor, little-endian, in a fresh buffer. @throws CheckpointError for an unknown name */
  read(name: string): Promise<Uint8Array>;
  /** As `read`, blocking: for worker threads. With `buffer` the bytes lie there, until it is used again. */
  readSync(name: string, buffer?: ReadBuffer): Uint8Array;
  /** Says what will be read next, so that the disk can begin; an earlier announcement ends. Unknown names are passed over. */
  willRead(names: Iterable<string>): void;
}
