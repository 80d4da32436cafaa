/**
 * One quantized Linear weight: the integer codes that every export writes bit for bit.
 * The weight is `scale * (code - zeroPoint)`, per row and group of columns.
 */
export interface QuantizedWeight {
  /** Bits per code, 2 to 8. */
  readonly bits: number;
  /** Bits of each group of columns, where they differ: then `bits` are those of the widest code that there may be. */
  readonly groupBits?: readonly number[] | undefined;
  /** Columns that share a scale; equals `columns` when there is one group per output row. */
  readonly groupSize: number;
  /** True when the scheme asked for one group per output row, whatever the width. */
  readonly perChannel: boolean;
  /** True for the full-range signed-scale grid: then every zero point is `2^(bits-1)`. */
  readonly symmetric: boolean;
  /** Output features. */
  readonly rows: number;
  /** Input features. */
  readonly columns: number;
  /** Unsigned codes `[rows, columns]`, 0 to `2^bits - 1`, one byte each. */
  readonly codes: Uint8Array;
  /** Scales `[rows, columns / groupSize]`: exact in fp16, negative allowed, magnitude at least 1e-5. */
  readonly scales: Float32Array;
  /** Zero points `[rows, columns / groupSize]`, 0 to `2^bits - 1`; those of a group of one bit in 254ths, 0 to 254. */
  readonly zeroPoints: Uint8Array;
}
