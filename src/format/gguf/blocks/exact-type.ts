import { FormatError } from "../../../errors.js";
import { assertOneWidth } from "../../contract/assert-one-width.js";
import type { QuantizedLayout } from "../../contract/export-source.js";
import { type QuantizedType, TENSOR_TYPES } from "../file/layout.js";

/** What a block type does to the weights of a layout. */
export interface ExactType {
  readonly type: QuantizedType;
  /** `exact`: same value for every weight. `minimum`: same codes and scales, but `scale * zeroPoint` is rounded to fp16. */
  readonly fidelity: "exact" | "minimum";
  /** True when the block spends more bits per code than the scheme: exact, but larger than the scheme promises. */
  readonly wider: boolean;
  readonly bitsPerWeight: number;
}

interface Rule {
  readonly bits: readonly number[];
  readonly symmetric: boolean;
  /** A group must be a whole number of these columns, so that no block spans two scales. */
  readonly columns: number;
  readonly type: QuantizedType;
  readonly fidelity?: "minimum";
  readonly wider?: true;
}

/**
 * Which block type holds which scheme, the smallest first. A wider type stores `code - zeroPoint` in its own range:
 * 2- and 3-bit differences lie in [-7, 7] and fit Q4_0's nibbles, 5- to 7-bit ones fit Q8_0's bytes.
 */
const RULES: readonly Rule[] = [
  { bits: [2], symmetric: true, columns: 256, type: "TQ2_0" },
  { bits: [2], symmetric: true, columns: 64, type: "Q2_0" },
  { bits: [2], symmetric: false, columns: 256, type: "Q2_K" },
  { bits: [3], symmetric: true, columns: 256, type: "Q3_K" },
  { bits: [4], symmetric: true, columns: 32, type: "Q4_0" },
  { bits: [4], symmetric: false, columns: 256, type: "Q4_K" },
  { bits: [4], symmetric: false, columns: 32, type: "Q4_1", fidelity: "minimum" },
  { bits: [8], symmetric: true, columns: 32, type: "Q8_0" },
  { bits: [2, 3], symmetric: true, columns: 32, type: "Q4_0", wider: true },
  { bits: [2, 3], symmetric: false, columns: 32, type: "Q4_0", wider: true },
  { bits: [5, 6, 7], symmetric: true, columns: 32, type: "Q8_0", wider: true },
  { bits: [5, 6, 7], symmetric: false, columns: 32, type: "Q8_0", wider: true },
];

/** Every type that holds the codes of `layout`, the best first; empty when there is none. */
export function exactTypes(layout: QuantizedLayout): readonly ExactType[] {
  assertOneWidth(layout, "GGUF");
  return RULES.filter(
    (rule) =>
      rule.bits.includes(layout.bits) &&
      rule.symmetric === layout.symmetric &&
      layout.groupSize % rule.columns === 0 &&
      layout.columns % layout.groupSize === 0,
  ).map((rule) => {
    const { elements, bytes } = TENSOR_TYPES[rule.type];
    return {
      type: rule.type,
      fidelity: rule.fidelity ?? "exact",
      wider: rule.wider ?? false,
      bitsPerWeight: (bytes * 8) / elements,
    };
  });
}

/** The smallest type that holds the codes of `layout`, or a FormatError that names the nearest scheme with one. */
export function exactType(layout: QuantizedLayout, name?: string): ExactType {
  const [best] = exactTypes(layout);
  if (best !== undefined) return best;
  throw new FormatError({
    what: `GGUF has no block type for ${describeLayout(layout)}`,
    ...(name === undefined ? {} : { where: name }),
    why: whyNone(layout),
    next: `${nearest(layout)}, or re-encode with --reencode, which reports the loss`,
  });
}

/** `W4 symmetric, group 32, 4096 columns`. */
export function describeLayout(layout: QuantizedLayout): string {
  const group = layout.perChannel ? "one group per row" : `group ${layout.groupSize}`;
  return `W${layout.bits} ${layout.symmetric ? "symmetric" : "asymmetric"}, ${group}, ${layout.columns} columns`;
}

function whyNone(layout: QuantizedLayout): string {
  if (layout.columns % 32 !== 0) return "a row must be a whole number of blocks of 32 columns or more";
  if (layout.groupSize % 32 !== 0) return "a group must be a whole number of blocks of 32 columns or more";
  return "no type stores 8-bit codes with a zero point";
}

function nearest(layout: QuantizedLayout): string {
  if (layout.columns % 32 !== 0) return "leave this layer unquantized, since its width allows only F16, BF16 and F32";
  const symmetric = layout.bits === 8 || layout.symmetric;
  const group = layout.groupSize % 32 === 0 ? layout.groupSize : 32;
  const [type] = exactTypes({ ...layout, symmetric, groupSize: group });
  const kind = symmetric ? "symmetric" : "asymmetric";
  return `quantize with W${layout.bits}A16g${group} ${kind}${type === undefined ? "" : `, which is ${type.type}`}`;
}
