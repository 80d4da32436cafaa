import type { InspectedTensor } from "../../format/contract/inspected-tensor.js";
import type { InspectedUnit } from "../../format/contract/inspected-unit.js";
import type { FormatName } from "../../format/exporters.js";

import type { CensusRecord } from "./census-record.js";

export type { InspectedTensor } from "../../format/contract/inspected-tensor.js";
export type { InspectedUnit } from "../../format/contract/inspected-unit.js";

/** What a model folder, a result or an export holds. */
export interface Inspection {
  /** The folder or file that was read. */
  readonly path: string;
  readonly format: "safetensors" | FormatName;
  readonly family: string;
  /** Null for a model that is not quantized, or a file that doesn't tell. */
  readonly scheme: string | null;
  readonly tensors: readonly InspectedTensor[];
  /** What becomes of the tensors; null for a network that crossblock does not compute, and for GGUF and ONNX, which hold no other. */
  readonly census: CensusRecord | null;
  /** Of an ONNX file that crossblock did not write; null for all others. */
  readonly units: readonly InspectedUnit[] | null;
  readonly parameters: number;
  readonly bytes: number;
  /** Over all tensors. */
  readonly bitsPerWeight: number;
  /** Bits of a code, in the mean over all of them; null without any. */
  readonly meanCodeBits: number | null;
  /** Over the tensors that hold codes; null without any. */
  readonly quantizedBitsPerWeight: number | null;
}
