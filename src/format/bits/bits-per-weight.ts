import type { QuantizedLayout } from "../contract/export-source.js";

/** Bits that a quantized Linear takes: codes, fp16 scales, and zero points where it is asymmetric. */
export function quantizedBits({ bits, groupBits, groupSize, symmetric, rows, columns }: QuantizedLayout): number {
  const groups = rows * Math.ceil(columns / groupSize);
  // Zero points are a byte there, and the bits of each group of columns too.
  if (groupBits !== undefined) return rows * rowBits(groupBits, groupSize) + groups * 24 + groupBits.length * 8;
  return rows * columns * bits + groups * (16 + (symmetric ? 0 : bits));
}

/** Bits of the codes of one row whose groups have these bits. */
export function rowBits(groupBits: readonly number[], groupSize: number): number {
  return groupBits.reduce((sum, bits) => sum + bits * groupSize, 0);
}
