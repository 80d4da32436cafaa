import { FormatError } from "../../errors.js";
import { assertOneWidth } from "../contract/assert-one-width.js";
import type { QuantizedLayout } from "../contract/export-source.js";
import { type StoredPart, storedPart } from "../contract/output-tensors.js";

/**
 * AWQ's GEMM version, as AutoAWQ began it and vLLM, GPTQModel (for transformers) and mlx-lm read it. A quantized Linear `<name>` of
 * shape `[out, in]` keeps its `<name>.bias`; its `<name>.weight` is replaced by the transposed, grouped
 *
 * | `<name>.qweight` | I32 `[in, out / 8]` | codes of 8 outputs a word |
 * | `<name>.qzeros` | I32 `[groups, out / 8]` | zero points, likewise |
 * | `<name>.scales` | F16 `[groups, out]` | |
 *
 * The nibbles of a word, the lowest first, belong to the outputs 0, 2, 4, 6, 1, 3, 5, 7 of its eight (`NIBBLE_ORDER`): GPUs unpack
 * two at a time. The value is `(code - zero point) * scale` with unsigned codes of 4 bits. A file has one group size.
 */
export const QUANT_METHOD = "awq";
export const VERSION = "gemm";
export const BITS = 4;

/** Codes in a word. */
export const PACKED = 8;
/** Which of a word's eight outputs each nibble holds, the lowest nibble first. */
export const NIBBLE_ORDER: readonly number[] = [0, 2, 4, 6, 1, 3, 5, 7];

export const CODES = "qweight";
export const ZERO_POINTS = "qzeros";
export const SCALES = "scales";

export type WeightPart = typeof CODES | typeof ZERO_POINTS | typeof SCALES;

/** The tensors that replace one weight, in the order in which they are written. */
export function partsOf({ rows, columns, groupSize }: QuantizedLayout): readonly StoredPart<WeightPart>[] {
  const groups = columns / groupSize;
  return [
    storedPart(CODES, "I32", [columns, rows / PACKED], 4),
    storedPart(ZERO_POINTS, "I32", [groups, rows / PACKED], 4),
    storedPart(SCALES, "F16", [groups, rows], 2),
  ];
}

const other = "use --format compressed-tensors, which holds 2 to 8 bits and any size exactly";

/** @throws FormatError naming the nearest scheme that AWQ has, or the format that holds such a weight */
export function assertHolds(name: string, layout: QuantizedLayout): void {
  const { bits, rows, perChannel, groupSize } = layout;
  assertOneWidth(layout, "AWQ", name);
  const refuse = (what: string, next: string): never => {
    throw new FormatError({ what, where: name, next });
  };
  if (bits !== BITS) {
    refuse(
      `AWQ has 4 bits a code, and this Linear ${bits}`,
      `quantize with --scheme W4A16${perChannel ? "" : `g${groupSize}`}, or ${other}`,
    );
  }
  if (rows % PACKED !== 0) refuse(`${rows} outputs: AWQ packs them by 8`, other);
}

/** @throws FormatError where Linears of one file have different groups */
export function assertOneGroup(linears: ReadonlyMap<string, QuantizedLayout>): void {
  const [first] = linears;
  if (first === undefined) return;
  const size = ({ perChannel, groupSize }: QuantizedLayout): number => (perChannel ? -1 : groupSize);
  const differs = [...linears].find(([, layout]) => size(layout) !== size(first[1]));
  if (differs === undefined) return;
  const shown = (layout: QuantizedLayout): string => (layout.perChannel ? "one per row" : `of ${layout.groupSize}`);
  throw new FormatError({
    what: `its groups are ${shown(differs[1])}, those of ${first[0]} ${shown(first[1])}, and a file of AWQ has one size`,
    where: differs[0],
    next: "quantize without overrides of the groups, or use --format gptq or compressed-tensors",
  });
}
