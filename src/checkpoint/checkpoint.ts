import type { SafetensorsDType } from "./dtype.js";

export type { SafetensorsDType } from "./dtype.js";

/** One tensor of a checkpoint: everything except its bytes. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  /** Name of the safetensors file that holds it, inside the model folder. */
  readonly file: string;
  readonly byteLength: number;
}

export declare class Checkpoint implements Disposable {
  static open(folder: string): Promise<Checkpoint>;
  readonly folder: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  read(name: string): Promise<Uint8Array>;
  readSync(name: string): Uint8Array;
  close(): void;
  [Symbol.dispose](): void;
}
