import type { SafetensorsDType } from "../../checkpoint/dtype.js";
import { FormatError } from "../../errors.js";
import { wordsFor } from "../bits/pack-bits.js";
import { assertOneWidth } from "../contract/assert-one-width.js";
import type { QuantizedLayout } from "../contract/export-source.js";
import { type StoredPart, storedPart } from "../contract/output-tensors.js";

/**
 * MLX's affine mode, as `mx.dequantize` of MLX 0.32 and `nn.QuantizedLinear` read it. A quantized Linear `<name>` of shape
 * `[out, in]` keeps its `<name>.bias`; beside it lie
 *
 * | `<name>.weight` | U32 `[out, in * bits / 32]` | codes, each row a dense stream, lowest bit first |
 * | `<name>.scales` | floating point `[out, in / group]` | |
 * | `<name>.biases` | as the scales | |
 *
 * and stacked experts have one more dimension in front of all three. The value is `scale * code + bias` with unsigned codes,
 * so that a zero point is the bias `-scale * zero point`. MLX packs 8 codes of 3 or 5 bits into as many bytes and 4 of 6 bits
 * into 3: in little-endian words that is the same stream. It has groups of 32, 64 and 128 columns, and no 7 bits.
 *
 * Scales are fp16 numbers, and a bias of a symmetric weight is one times a power of two, which fp16 holds too; of an asymmetric
 * one it takes up to 19 bits, which fp32 holds. bf16 holds neither.
 */
export const MODE = "affine";

export const CODES = "weight";
export const SCALES = "scales";
export const BIASES = "biases";

export type WeightPart = typeof CODES | typeof SCALES | typeof BIASES;

/** Widths that MLX has kernels for. */
export const BITS: readonly number[] = [2, 3, 4, 5, 6, 8];
/** Columns that share a scale, the widest first. */
export const GROUP_SIZES: readonly number[] = [128, 64, 32];

/** Floating point of scales and biases. */
export type ScaleType = Extract<SafetensorsDType, "F16" | "BF16" | "F32">;
/** The choices for it: `exact` is the narrowest that holds both as they were computed. */
export const SCALE_CHOICES = ["exact", "f16", "bf16", "f32"] as const;
export type ScaleChoice = (typeof SCALE_CHOICES)[number];

/** The type of scales and biases of one Linear. */
export function scaleType({ symmetric }: Pick<QuantizedLayout, "symmetric">, choice: ScaleChoice): ScaleType {
  if (choice === "exact") return symmetric ? "F16" : "F32";
  return ({ f16: "F16", bf16: "BF16", f32: "F32" } as const)[choice];
}

/** Columns that share a scale in the file: where a group of ours is wider, its scale is repeated. Null where none fits. */
export function blockSize({ groupSize }: Pick<QuantizedLayout, "groupSize">): number | null {
  return GROUP_SIZES.find((size) => groupSize % size === 0) ?? null;
}

/**
 * The tensors of one weight, in the order in which they are written.
 *
 * @param experts how many of them are stacked in it; null for a weight of two dimensions
 */
export function partsOf(
  layout: QuantizedLayout,
  type: ScaleType,
  experts: number | null,
): readonly StoredPart<WeightPart>[] {
  const { bits, rows, columns } = layout;
  const blocks = columns / (blockSize(layout) ?? columns);
  const part = (name: WeightPart, dtype: SafetensorsDType, columns: number, width: number): StoredPart<WeightPart> => {
    return storedPart(name, dtype, experts === null ? [rows, columns] : [experts, rows / experts, columns], width);
  };
  const width = type === "F32" ? 4 : 2;
  return [
    part(BIASES, type, blocks, width),
    part(SCALES, type, blocks, width),
    part(CODES, "U32", wordsFor(columns, bits), 4),
  ];
}

/** @throws FormatError naming the nearest scheme that MLX has, or the format that holds such a weight */
export function assertHolds(name: string, layout: QuantizedLayout): void {
  const { bits, columns, groupSize, perChannel } = layout;
  assertOneWidth(layout, "MLX", name);
  const other = "use --format compressed-tensors, which holds 2 to 8 bits and any groups exactly";
  if (!BITS.includes(bits)) {
    throw new FormatError({
      what: `MLX has no ${bits} bits, but ${BITS.join(", ")}`,
      where: name,
      next: `quantize with --scheme W8A16${perChannel ? "" : `g${groupSize}`}, or ${other}`,
    });
  }
  if (blockSize(layout) !== null) return;
  const nearest = [...GROUP_SIZES].reverse().find((size) => size > groupSize && columns % size === 0);
  throw new FormatError({
    what: perChannel
      ? `rows of ${columns} columns are no whole number of MLX's groups`
      : `groups of ${groupSize} columns, where MLX has groups of 32, 64 and 128, or several of them`,
    where: name,
    next: perChannel || nearest === undefined ? other : `quantize with --scheme W${bits}A16g${nearest}, or ${other}`,
  });
}
