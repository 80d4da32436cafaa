import type { WeightHash } from "../bits/weight-hash.js";

/** The verdict on one tensor of an export. */
export interface TensorCheck {
  /** Name in the export: the module's for a quantized Linear of a folder, the tensor's otherwise. */
  readonly name: string;
  /** Module or tensor of the result; null for tensors that no result has. */
  readonly source: string | null;
  /**
   * `same`: codes and scales, or values, are the result's. `lossy`: re-encoded or converted as asked, see `relativeError`.
   * `different`, `missing`, `unexpected`: the export is wrong.
   */
  readonly status: "same" | "lossy" | "different" | "missing" | "unexpected";
  /** What differs first, for a reader. */
  readonly detail?: string;
  /** Of a lossy tensor: mean squared error relative to the mean square of the values. */
  readonly relativeError?: number;
  /** Of codes and scales as the decoder found them; absent for tensors that hold none, or that can't be decoded. */
  readonly hash?: WeightHash;
}
