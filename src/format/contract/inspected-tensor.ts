/** One tensor or quantized Linear as `inspect` shows it. */
export interface InspectedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** `BF16`, `W2g64 sym` for codes of a folder, `Q4_0` for blocks of GGUF. */
  readonly type: string;
  readonly bytes: number;
  /** Bits per weight, scales and zero points included. */
  readonly bitsPerWeight: number;
  /** Bits of a code, in the mean over the groups; null where there are none. */
  readonly codeBits: number | null;
  /** How often each code occurs, the lowest first; null where there are none. */
  readonly histogram: readonly number[] | null;
  /** Smallest and largest scale; null where there are none. */
  readonly scales: readonly [number, number] | null;
}
