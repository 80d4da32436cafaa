import type { QuantizedLayout } from "../contract/export-source.js";

/** Bits that a quantized Linear takes: codes, fp16 scales, and zero points where it is asymmetric. */
export function quantizedBits({ bits, groupSize, symmetric, rows, columns }: QuantizedLayout): number {
  const groups = rows * Math.ceil(columns / groupSize);
  return rows * columns * bits + groups * (16 + (symmetric ? 0 : bits));
}
