import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { floatsFromBytes } from "../bits/float-bytes.js";
import { viewInt32 } from "../bits/typed-view.js";
import type { QuantizedLayout } from "../contract/export-source.js";
import { damaged, expectTensor, type StoredTensor } from "../source/stored-tensor.js";

/** The stored tensors of one Linear; `zeroPoints` is null in files whose zero points are all 8. */
export interface StoredWeight {
  readonly codes: StoredTensor;
  readonly zeroPoints: StoredTensor | null;
  readonly scales: StoredTensor;
}

const MIDDLE = 8;

/**
 * Codes, scales and zero points of one Linear from its stored tensors.
 *
 * @param name the module, for errors
 * @throws FormatError when a tensor has not the type, the shape or the content that the layout asks for
 */
export function decodeWeight(name: string, layout: QuantizedLayout, stored: StoredWeight): QuantizedWeight {
  const { rows, columns, groupSize, symmetric } = layout;
  const groups = columns / groupSize;
  expectTensor(stored.codes, ["I32"], [columns, rows / 8], `${name}.qweight`);
  expectTensor(stored.scales, ["F16", "BF16", "F32"], [groups, rows], `${name}.scales`);
  const zeroPoints = new Uint8Array(rows * groups).fill(MIDDLE);
  if (stored.zeroPoints !== null) {
    expectTensor(stored.zeroPoints, ["I32"], [groups, rows / 8], `${name}.qzeros`);
    zeroPoints.set(outputs(stored.zeroPoints.bytes, rows, groups));
  }
  if (symmetric && zeroPoints.some((zero) => zero !== MIDDLE)) {
    damaged(`${name}.qzeros`, "zero points off the middle in a weight that config.json calls symmetric");
  }
  const byGroup = floatsFromBytes(stored.scales.bytes, stored.scales.dtype, `${name}.scales`);
  if (byGroup.some((scale) => !Number.isFinite(scale))) damaged(`${name}.scales`, "a scale is no finite number");
  const scales = new Float32Array(rows * groups);
  for (let group = 0; group < groups; group++) {
    for (let row = 0; row < rows; row++) scales[row * groups + group] = byGroup[group * rows + row] ?? 0;
  }
  return { ...layout, codes: outputs(stored.codes.bytes, rows, columns), scales, zeroPoints };
}

/**
 * `[rows, columns]` from words `[columns, rows / 8]`: output 2k of a word's eight is its nibble k, output 2k + 1 its nibble k + 4,
 * counted from the lowest.
 */
function outputs(bytes: Uint8Array, rows: number, columns: number): Uint8Array {
  const words = viewInt32(bytes);
  const width = rows / 8;
  const values = new Uint8Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const output = row % 8;
    const shift = 4 * (Math.floor(output / 2) + 4 * (output % 2));
    const word = Math.floor(row / 8);
    for (let column = 0; column < columns; column++) {
      values[row * columns + column] = ((words[column * width + word] as number) >>> shift) & 15;
    }
  }
  return values;
}
