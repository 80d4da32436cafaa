import { FormatError } from "../../errors.js";
import { wordsFor } from "../bits/pack-bits.js";
import { assertOneWidth } from "../contract/assert-one-width.js";
import type { QuantizedLayout } from "../contract/export-source.js";
import { type StoredPart, storedPart } from "../contract/output-tensors.js";

/**
 * GPTQ as AutoGPTQ began it and GPTQModel, vLLM and transformers read it. A quantized Linear `<name>` of shape
 * `[out, in]` keeps its `<name>.bias`; its `<name>.weight` is replaced by the transposed, grouped
 *
 * | `<name>.qweight` | I32 `[in * bits / 32, out]` | codes, each column (one output) a dense stream, lowest bit first |
 * | `<name>.qzeros` | I32 `[groups, out * bits / 32]` | zero points, each row a dense stream |
 * | `<name>.scales` | F16 `[groups, out]` | |
 * | `<name>.g_idx` | I32 `[in]` | group of each input: `floor(i / group size)` |
 *
 * The value is `(code - zero point) * scale` with unsigned codes. At 3 bits 32 codes fill 3 words, and codes 10 and 21
 * straddle two of them.
 *
 * The two versions differ in `qzeros` alone: `gptq` (v1) stores each zero point minus 1, modulo `2^bits`, and readers
 * add 1; `gptq_v2` stores the zero point. Some readers add without the modulo, so that a zero point of 0 reads as
 * `2^bits`: v1 is written for symmetric weights only, whose zero point `2^(bits-1)` can't wrap.
 */
export const QUANT_METHOD = "gptq";

export type CheckpointFormat = "gptq" | "gptq_v2";

export const CODES = "qweight";
export const ZERO_POINTS = "qzeros";
export const SCALES = "scales";
export const GROUP_INDEX = "g_idx";

export type WeightPart = typeof CODES | typeof ZERO_POINTS | typeof SCALES | typeof GROUP_INDEX;

/** Widths with one layout that every reader shares; 5, 6 and 7 bits exist only as planes in GPTQModel. */
export const BITS: readonly number[] = [2, 3, 4, 8];

/** Both dimensions must be multiples of this, because codes are packed along one and zero points along the other. */
export function sizeStep(bits: number): number {
  return bits === 3 ? 32 : 32 / bits;
}

/** The tensors that replace one weight, in the order in which they are written. */
export function partsOf({ bits, rows, columns, groupSize }: QuantizedLayout): readonly StoredPart<WeightPart>[] {
  const groups = columns / groupSize;
  return [
    storedPart(GROUP_INDEX, "I32", [columns], 4),
    storedPart(CODES, "I32", [wordsFor(columns, bits), rows], 4),
    storedPart(ZERO_POINTS, "I32", [groups, wordsFor(rows, bits)], 4),
    storedPart(SCALES, "F16", [groups, rows], 2),
  ];
}

/**
 * @param version the version that was asked for; null lets the weights decide
 * @throws FormatError naming the format that holds such a weight
 */
export function assertHolds(name: string, layout: QuantizedLayout, version: CheckpointFormat | null): void {
  const { bits, rows, columns, symmetric } = layout;
  assertOneWidth(layout, "GPTQ", name);
  const refuse = (what: string, next: string): never => {
    throw new FormatError({ what, where: name, next });
  };
  const other = "use --format compressed-tensors, which holds 2 to 8 bits and any size exactly";
  if (!BITS.includes(bits)) {
    const nearest = `W${bits === 5 ? 4 : 8}A16${layout.perChannel ? "" : `g${layout.groupSize}`}`;
    refuse(
      `GPTQ has no layout of ${bits} bits that its readers share`,
      `quantize with --scheme ${nearest}, or ${other}`,
    );
  }
  const step = sizeStep(bits);
  if (rows % step !== 0 || columns % step !== 0) {
    refuse(`${rows} x ${columns} weights of ${bits} bits: GPTQ needs multiples of ${step} on both sides`, other);
  }
  if (version === "gptq" && !symmetric) {
    refuse("version 1 of GPTQ can't hold a zero point of 0, which asymmetric weights may have", "write gptq_v2");
  }
}
