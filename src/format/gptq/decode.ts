import { FormatError } from "../../errors.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { floatsFromBytes } from "../bits/float-bytes.js";
import { viewInt32 } from "../bits/typed-view.js";
import { unpackBits } from "../bits/unpack-bits.js";
import type { QuantizedLayout } from "../contract/export-source.js";
import { damaged, expectTensor, type StoredTensor } from "../source/stored-tensor.js";
import type { CheckpointFormat } from "./layout.js";

/** The stored tensors of one Linear; `groupIndex` is null in files that leave it out. */
export interface StoredWeight {
  readonly codes: StoredTensor;
  readonly zeroPoints: StoredTensor;
  readonly scales: StoredTensor;
  readonly groupIndex: StoredTensor | null;
}

/**
 * Codes, scales and zero points of one Linear from its stored tensors.
 *
 * @param name the module, for errors
 * @throws FormatError when a tensor has not the type, the shape or the content that the layout asks for
 */
export function decodeWeight(
  name: string,
  layout: QuantizedLayout,
  version: CheckpointFormat,
  stored: StoredWeight,
): QuantizedWeight {
  const { bits, rows, columns, groupSize, symmetric } = layout;
  const groups = columns / groupSize;
  expectTensor(stored.codes, ["I32"], [(columns * bits) / 32, rows], `${name}.qweight`);
  expectTensor(stored.zeroPoints, ["I32"], [groups, (rows * bits) / 32], `${name}.qzeros`);
  expectTensor(stored.scales, ["F16", "BF16", "F32"], [groups, rows], `${name}.scales`);
  if (stored.groupIndex !== null) checkGroups(stored.groupIndex, columns, groupSize, `${name}.g_idx`);

  const codes = new Uint8Array(rows * columns);
  const words = viewInt32(stored.codes.bytes);
  for (let row = 0; row < rows; row++) {
    unpackBits(words, { start: row, stride: rows }, columns, bits, codes, { start: row * columns, stride: 1 });
  }
  const zeroPoints = decodeZeroPoints(stored.zeroPoints.bytes, layout, version);
  if (symmetric && zeroPoints.some((zero) => zero !== 2 ** (bits - 1))) {
    damaged(`${name}.qzeros`, "zero points off the middle in a weight that config.json calls symmetric");
  }
  const byGroup = floatsFromBytes(stored.scales.bytes, stored.scales.dtype, `${name}.scales`);
  if (byGroup.some((scale) => !Number.isFinite(scale))) damaged(`${name}.scales`, "a scale is no finite number");
  const scales = new Float32Array(rows * groups);
  for (let group = 0; group < groups; group++) {
    for (let row = 0; row < rows; row++) scales[row * groups + group] = byGroup[group * rows + row] ?? 0;
  }
  return { ...layout, codes, scales, zeroPoints };
}

function decodeZeroPoints(
  bytes: Uint8Array,
  { bits, rows, columns, groupSize }: QuantizedLayout,
  version: CheckpointFormat,
): Uint8Array {
  const groups = columns / groupSize;
  const words = viewInt32(bytes);
  const zeroPoints = new Uint8Array(rows * groups);
  for (let group = 0; group < groups; group++) {
    const from = { start: (group * words.length) / groups, stride: 1 };
    unpackBits(words, from, rows, bits, zeroPoints, { start: group, stride: groups });
  }
  return version === "gptq" ? zeroPoints.map((stored) => (stored + 1) % 2 ** bits) : zeroPoints;
}

function checkGroups(index: StoredTensor, columns: number, groupSize: number, where: string): void {
  expectTensor(index, ["I32"], [columns], where);
  const groups = viewInt32(index.bytes);
  const wrong = groups.findIndex((group, column) => group !== Math.floor(column / groupSize));
  if (wrong < 0) return;
  throw new FormatError({
    what: `input ${wrong} belongs to group ${groups[wrong]}, not ${Math.floor(wrong / groupSize)}`,
    where,
    why: "the columns are in activation order (desc_act), which only GPTQ can hold",
    next: "quantize without desc_act",
  });
}
