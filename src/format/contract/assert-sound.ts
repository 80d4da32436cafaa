import { FormatError } from "../../errors.js";
import { BINARY_STEPS } from "../../quant/grid/group-grid.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { roundToHalf } from "../bits/half.js";
import { viewInt32 } from "../bits/typed-view.js";

/**
 * Checks that a weight keeps the promises of its type before anything of it is written: array lengths, code range,
 * zero points, scales that fp16 holds exactly.
 *
 * @throws FormatError naming the layer
 */
export function assertSound(weight: QuantizedWeight, name: string): void {
  const { bits, groupBits, rows, columns, groupSize, codes, scales, zeroPoints, symmetric } = weight;
  const groups = rows * (columns / groupSize);
  const limit = 2 ** bits;
  const fail = (what: string): never => refuse(what, name);
  if (codes.length !== rows * columns) fail(`${codes.length} codes for ${rows} x ${columns} weights`);
  if (scales.length !== groups || zeroPoints.length !== groups) {
    fail(`${scales.length} scales and ${zeroPoints.length} zero points for ${groups} groups`);
  }
  const misfit = firstMisfit(codes, bits);
  if (misfit !== -1) fail(`code ${codes[misfit]} does not fit ${bits} bits`);
  assertSoundScales(scales, name);
  if (groupBits !== undefined) {
    assertSoundGroups({ ...weight, groupBits }, fail);
    return;
  }
  for (let group = 0; group < groups; group++) {
    const zeroPoint = zeroPoints[group] ?? limit;
    if (symmetric ? zeroPoint !== limit / 2 : zeroPoint >= limit) {
      fail(`zero point ${zeroPoint} in a ${symmetric ? "symmetric" : "asymmetric"} ${bits}-bit weight`);
    }
  }
}

function assertSoundGroups(
  { bits, groupBits, groupSize, rows, columns, codes, zeroPoints }: QuantizedWeight & { groupBits: readonly number[] },
  fail: (what: string) => never,
): void {
  const groups = columns / groupSize;
  if (groupBits.length !== groups) fail(`bits of ${groupBits.length} groups for ${groups}`);
  for (const [group, width] of groupBits.entries()) {
    if (!Number.isInteger(width) || width < 1 || width > bits) fail(`${width} bits in a group of ${bits} at most`);
    const most = width === 1 ? BINARY_STEPS : 2 ** width - 1;
    for (let row = 0; row < rows; row++) {
      const zeroPoint = zeroPoints[row * groups + group] ?? 255;
      if (zeroPoint > most) fail(`zero point ${zeroPoint} in a group of ${width} bits`);
      const begin = row * columns + group * groupSize;
      for (let i = begin; i < begin + groupSize; i++) {
        if ((codes[i] ?? 0) >= 2 ** width) fail(`code ${codes[i]} does not fit ${width} bits`);
      }
    }
  }
}

/**
 * Checks that fp16 holds these scales exactly.
 *
 * @throws FormatError naming the layer
 */
export function assertSoundScales(scales: Float32Array, name: string): void {
  for (let group = 0; group < scales.length; group++) {
    const scale = scales[group] ?? Number.NaN;
    if (!Number.isFinite(scale) || roundToHalf(scale) !== scale) refuse(`scale ${scale} is not an fp16 number`, name);
  }
}

// The first code of more than `bits` bits; -1 where all fit. Four at a time: a model has billions of codes.
function firstMisfit(codes: Uint8Array, bits: number): number {
  const limit = 2 ** bits;
  const whole = codes.length - (codes.length % 4);
  const quads = viewInt32(codes.subarray(0, whole));
  let joined = 0;
  for (let i = 0; i < quads.length; i++) joined |= quads[i] as number;
  const above = ~(0x01010101 * (limit - 1));
  const suspect = (joined & above) === 0 ? whole : 0;
  for (let i = suspect; i < codes.length; i++) if ((codes[i] as number) >= limit) return i;
  return -1;
}

function refuse(what: string, name: string): never {
  throw new FormatError({ what, where: name, next: "quantize this layer again: its codes are damaged" });
}
