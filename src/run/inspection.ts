import type { FormatName } from "../format/exporters.js";
import type { InspectedTensor } from "../format/inspected-tensor.js";

export type { InspectedTensor } from "../format/inspected-tensor.js";

/** What a model folder, a result or an export holds. */
export interface Inspection {
  /** The folder or file that was read. */
  readonly path: string;
  readonly format: "safetensors" | FormatName;
  readonly family: string;
  /** Null for a model that is not quantized, or a file that doesn't tell. */
  readonly scheme: string | null;
  readonly tensors: readonly InspectedTensor[];
  readonly parameters: number;
  readonly bytes: number;
  /** Over all tensors. */
  readonly bitsPerWeight: number;
  /** Over the tensors that hold codes; null without any. */
  readonly quantizedBitsPerWeight: number | null;
}
