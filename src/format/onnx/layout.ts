import { FormatError } from "../../errors.js";
import { assertOneWidth } from "../contract/assert-one-width.js";
import type { QuantizedLayout } from "../contract/export-source.js";

/**
 * onnxruntime's operator MatMulNBits (domain com.microsoft, version 1) computes `A W^T` with `W` in blocks of columns.
 * For a Linear `[out, in]`, stored at `bits` bits with `blocks = ceil(in / block size)`:
 *
 * | input | type, shape | |
 * |---|---|---|
 * | B | uint8 `[out, blocks, block size * bits / 8]` | codes along the columns, lowest bits first; the last block is padded |
 * | scales | type of A, `[out, blocks]` | |
 * | zero_points | uint8 `[out, ceil(blocks * bits / 8)]` | packed like the codes, each row padded to a byte; left out: `2^(bits-1)` |
 *
 * The value is `(code - zero point) * scale`. Source: onnxruntime's ContribOperators.md; which widths and block sizes its
 * CPU kernels take was found by running them (`test/format/judge/onnx-kernels.judge.test.ts`).
 */
export type StoredBits = 2 | 4 | 8;

/** Block sizes that are written. The CPU kernels also take 256, which would save 0.06 bits a weight. */
export const BLOCK_SIZES = [128, 64, 32, 16] as const;

export type BlockSize = (typeof BLOCK_SIZES)[number];

/** How a row lies in its blocks. */
export interface BlockedRow {
  readonly bits: StoredBits;
  readonly blockSize: number;
  /** Blocks of a row. */
  readonly blocks: number;
}

/** How MatMulNBits stores one Linear. */
export interface Container extends BlockedRow {
  readonly blockSize: BlockSize;
  /** False when all zero points are `2^(bits-1)` and the input is left out. */
  readonly zeroPoints: boolean;
}

/** The stored tensors of a quantized Linear. */
export type QuantizedPart = "codes" | "scales" | "zeroPoints";

/** Bytes of one row of a stored tensor. Scales are fp16. */
export function rowBytes({ bits, blockSize, blocks }: BlockedRow, part: QuantizedPart): number {
  switch (part) {
    case "codes":
      return (blocks * blockSize * bits) / 8;
    case "scales":
      return blocks * 2;
    case "zeroPoints":
      return Math.ceil((blocks * bits) / 8);
  }
}

/**
 * The smallest container that holds a layout exactly: codes keep their values (3 bits in 4, and 5 to 7 bits in 8), and a
 * scale is repeated for each block of its group, so a block must not span two groups. A group that is a whole row may
 * end in a padded block, whatever its width.
 *
 * @param name the module, for the error
 * @throws FormatError for groups that no multiple of 16 columns divides, naming the nearest scheme that works
 */
export function containerOf(layout: QuantizedLayout, name?: string): Container {
  const { columns, groupSize, symmetric } = layout;
  assertOneWidth(layout, "ONNX", name);
  const bits: StoredBits = layout.bits <= 2 ? 2 : layout.bits <= 4 ? 4 : 8;
  const zeroPoints = !symmetric || layout.bits !== bits;
  const candidates = BLOCK_SIZES.filter((size) => groupSize === columns || groupSize % size === 0)
    .map((blockSize) => ({ bits, blockSize, blocks: Math.ceil(columns / blockSize), zeroPoints }))
    .map((container) => ({ container, bytes: bytesPerRow(container) }))
    .sort((a, b) => a.bytes - b.bytes);
  const [best] = candidates;
  if (best !== undefined) return best.container;
  const nearest = [16, 32, 64, 128].find((size) => size >= groupSize && columns % size === 0);
  throw new FormatError({
    what: `MatMulNBits has blocks of 16, 32, 64 or 128 columns, and none divides groups of ${groupSize}`,
    ...(name === undefined ? {} : { where: name }),
    next: `quantize with ${nearest === undefined ? `W${layout.bits}A16, one group per row` : `W${layout.bits}A16g${nearest}`}, or use --format compressed-tensors`,
  });
}

function bytesPerRow(container: Container): number {
  const parts: readonly QuantizedPart[] = container.zeroPoints
    ? ["codes", "scales", "zeroPoints"]
    : ["codes", "scales"];
  return parts.reduce((sum, part) => sum + rowBytes(container, part), 0);
}
