/** One tensor or quantized Linear as `inspect` shows it. */
export interface InspectedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** `BF16`, or `W2g64 sym` for codes. */
  readonly type: string;
  readonly bytes: number;
  /** Bits per weight, scales and zero points included. */
  readonly bitsPerWeight: number;
  /** How often each code occurs; null where there are none. */
  readonly histogram: readonly number[] | null;
}

/** What a model folder or a result holds. */
export interface Inspection {
  readonly folder: string;
  readonly format: "safetensors" | "compressed-tensors";
  readonly family: string;
  /** Null for a model that is not quantized. */
  readonly scheme: string | null;
  readonly tensors: readonly InspectedTensor[];
  readonly parameters: number;
  readonly bytes: number;
  /** Over all tensors. */
  readonly bitsPerWeight: number;
  /** Over the quantized Linears; null without any. */
  readonly quantizedBitsPerWeight: number | null;
}
