import type { TensorInfo } from "./checkpoint.js";

/** Where a model's tensors are read from: a checkpoint on disk, or what stands for another one. */
export interface TensorReader {
  /** The model folder that the other files lie in. */
  readonly folder: string;
  /** By full name. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** The bytes of one tensor, little-endian, in a fresh buffer. @throws CheckpointError for an unknown name */
  read(name: string): Promise<Uint8Array>;
  /** As `read`, blocking: for worker threads. */
  readSync(name: string): Uint8Array;
}
