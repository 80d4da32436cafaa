import type { QuantizedWeight } from "../../quant/quantized-weight.js";

/** What differs first between two quantized weights, for a reader; null when they are the same. */
export function firstDifference(stored: QuantizedWeight, expected: QuantizedWeight): string | null {
  const { rows, columns, groupSize, codes, scales, zeroPoints } = expected;
  for (const key of ["bits", "rows", "columns", "groupSize", "symmetric"] as const) {
    if (stored[key] !== expected[key]) return `${key} ${stored[key]} instead of ${expected[key]}`;
  }
  const [bitsThere, bitsHere] = [stored.groupBits?.join(" "), expected.groupBits?.join(" ")];
  if (bitsThere !== bitsHere) return `bits of groups ${bitsThere ?? "alike"} instead of ${bitsHere ?? "alike"}`;
  const groups = columns / groupSize;
  const ofGroup = (group: number): string => `row ${Math.floor(group / groups)}, group ${group % groups}`;
  for (let group = 0; group < rows * groups; group++) {
    if (stored.scales[group] !== scales[group]) {
      return `scale ${stored.scales[group]} instead of ${scales[group]} at ${ofGroup(group)}`;
    }
    if (stored.zeroPoints[group] !== zeroPoints[group]) {
      return `zero point ${stored.zeroPoints[group]} instead of ${zeroPoints[group]} at ${ofGroup(group)}`;
    }
  }
  for (let e = 0; e < codes.length; e++) {
    if (stored.codes[e] !== codes[e]) {
      return `code ${stored.codes[e]} instead of ${codes[e]} at row ${Math.floor(e / columns)}, column ${e % columns}`;
    }
  }
  return null;
}
