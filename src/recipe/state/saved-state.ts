import type { DType } from "../../tensor/index.js";

/** A tensor that the next window starts from, for the run to save. */
export interface StateTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Its bytes in order, little-endian, in pieces that fit in memory; valid until the recipe goes on. */
  readonly pieces: () => Iterable<Uint8Array>;
}

/** Where an earlier run of the same job got to: the first window still to do and what it starts from. */
export interface RecipeState {
  /** Counted from 0. */
  readonly window: number;
  /**
   * Bytes `begin` to `end` (excluded) of a saved tensor.
   *
   * @throws CheckpointError when there is none of that name, or it is shorter.
   */
  read(name: string, begin: number, end: number): Uint8Array;
}
