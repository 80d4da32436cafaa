import { rowBits } from "../bits/bits-per-weight.js";
import { wordsFor } from "../bits/pack-bits.js";
import type { ActivationQuantization, QuantizedLayout } from "../contract/export-source.js";
import { type StoredPart, storedPart } from "../contract/output-tensors.js";

/**
 * compressed-tensors (Apache-2.0, vLLM project), as its version 0.20 reads it. A quantized Linear `<name>` of shape
 * `[out, in]` keeps its `<name>.bias`; its `<name>.weight` is replaced:
 *
 * `pack-quantized`
 * | `<name>.weight_packed` | I32 `[out, ceil(in * bits / 32)]` | codes, each row a dense stream, lowest bit first |
 * | `<name>.weight_scale` | F16 `[out, groups]` | `[out, 1]` for one group per row |
 * | `<name>.weight_zero_point` | I32 `[ceil(out * bits / 32), groups]` | asymmetric only; each column a stream of its own |
 * | `<name>.weight_shape` | I64 `[2]` | out, in |
 *
 * `int-quantized`
 * | `<name>.weight` | I8 `[out, in]` | |
 * | `<name>.weight_scale` | F16 `[out, groups]` | |
 * | `<name>.weight_zero_point` | I8 `[out, groups]` | asymmetric only |
 *
 * `crossblock-group-bits`, ours alone: groups of columns have bits of their own (SliM-LLM)
 * | `<name>.weight_group_packed` | I32 `[out, ceil(row bits / 32)]` | each row a dense stream, group after group, lowest bit first |
 * | `<name>.weight_group_bits` | U8 `[groups]` | 1 to 8, the same for all rows |
 * | `<name>.weight_scale` | F16 `[out, groups]` | |
 * | `<name>.weight_zero_point` | U8 `[out, groups]` | unsigned as the codes; of a group of one bit in 254ths of a step |
 * | `<name>.weight_shape` | I64 `[2]` | out, in |
 *
 * `crossblock-norm-matrices`, ours alone: `<norm>.matrix` `[width, width]` in the dtype of the norm's gains, which what the norm gives is
 * multiplied by; `config.json` says `crossblock_norm_matrices`. Linears are stored as above.
 *
 * All: `<name>.input_scale` F32 `[1]` when activations have a static scale, and `<name>.input_zero_point` I8 `[1]` where that
 * is asymmetric, signed as the codes.
 *
 * The codes are signed, `-2^(bits-1)` to `2^(bits-1) - 1`; packing adds `2^(bits-1)`, so that a packed field is the
 * unsigned code of `QuantizedWeight`, as is a packed zero point. The value is `(code - zero point) * scale`.
 *
 * Scales are F16 whatever the model's dtype, because ours are fp16 numbers and bf16 would round them. Readers convert
 * scales to the dtype that they compute in, so one that computes in bf16 rounds them (and the products) there.
 *
 * Up to May 2026 the library padded each word for widths that don't divide 32, so that its older versions misread
 * 3, 5, 6 and 7 bits; 2, 4 and 8 bits are the same in all versions.
 */
export const QUANT_METHOD = "compressed-tensors";
/** The library version whose layout this is; readers show it. */
export const LIBRARY_VERSION = "0.20.0";

/** Of Linears whose groups have different bits, which no other reader has. */
export const GROUP_STORAGE = "crossblock-group-bits";
export type StorageFormat = "pack-quantized" | "int-quantized" | typeof GROUP_STORAGE;
/**
 * What every `format` says where norms have matrices behind them, however Linears are stored: no other reader knows the word, and one
 * that did not refuse would compute another network.
 */
export const MATRIX_FORMAT = "crossblock-norm-matrices";
/** What `format` of the whole configuration says when its groups differ. */
export const MIXED_FORMAT = "mixed-precision";

export const PACKED = "weight_packed";
export const SCALE = "weight_scale";
export const ZERO_POINT = "weight_zero_point";
export const SHAPE = "weight_shape";
export const PLAIN_WEIGHT = "weight";
export const INPUT_SCALE = "input_scale";
export const INPUT_ZERO_POINT = "input_zero_point";
/** Column order of the withdrawn "group" activation ordering; never written, refused when read. */
export const GROUP_INDEX = "weight_g_idx";

export const GROUP_PACKED = "weight_group_packed";
export const GROUP_BITS = "weight_group_bits";

export type WeightPart =
  | typeof GROUP_PACKED
  | typeof GROUP_BITS
  | typeof PACKED
  | typeof SCALE
  | typeof ZERO_POINT
  | typeof SHAPE
  | typeof PLAIN_WEIGHT;

/** How the weight of one Linear is stored. */
export function storageOf(layout: QuantizedLayout, activations: ActivationQuantization | null): StorageFormat {
  if (layout.groupBits !== undefined) return GROUP_STORAGE;
  // int8 kernels take 8-bit weights with one scale per row; everything else is smaller and more widely read when packed.
  return activations?.bits === 8 && layout.bits === 8 && layout.perChannel ? "int-quantized" : "pack-quantized";
}

/** The tensors that replace one weight, in the order in which they are written. */
export function partsOf(layout: QuantizedLayout, storage: StorageFormat): readonly StoredPart<WeightPart>[] {
  const { bits, rows, columns, symmetric } = layout;
  const groups = columns / layout.groupSize;
  const packed = storage === "pack-quantized";
  const { groupBits } = layout;
  if (groupBits !== undefined) {
    return [
      storedPart(GROUP_BITS, "U8", [groups], 1),
      storedPart(GROUP_PACKED, "I32", [rows, Math.ceil(rowBits(groupBits, layout.groupSize) / 32)], 4),
      storedPart(ZERO_POINT, "U8", [rows, groups], 1),
      storedPart(SCALE, "F16", [rows, groups], 2),
      storedPart(SHAPE, "I64", [2], 8),
    ];
  }
  return [
    packed
      ? storedPart(PACKED, "I32", [rows, wordsFor(columns, bits)], 4)
      : storedPart(PLAIN_WEIGHT, "I8", [rows, columns], 1),
    ...(symmetric
      ? []
      : [
          packed
            ? storedPart(ZERO_POINT, "I32", [wordsFor(rows, bits), groups], 4)
            : storedPart(ZERO_POINT, "I8", [rows, groups], 1),
        ]),
    storedPart(SCALE, "F16", [rows, groups], 2),
    ...(packed ? [storedPart(SHAPE, "I64", [2], 8)] : []),
  ];
}
