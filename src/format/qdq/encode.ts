import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { isNibble, type LayerForm } from "./layer-form.js";

/** Codes in their stored order, `code - shift` each; two of 4 bits share a byte, the first in its low bits. */
export function encodeCodes({ rows, columns, codes }: QuantizedWeight, form: LayerForm): Uint8Array {
  const out = new IntegerBytes(codes.length, form);
  if (form.order === "rows") {
    for (let i = 0; i < codes.length; i++) out.set(i, codes[i] ?? 0);
    return out.bytes;
  }
  const kernel = kernelOf(form);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      out.set(placeInColumns(row, column, rows, kernel), codes[row * columns + column] ?? 0);
    }
  }
  return out.bytes;
}

/** Scales, fp32, in the order of `scaleShape`. */
export function encodeScales(weight: QuantizedWeight, form: LayerForm): Uint8Array {
  const scales = new Float32Array(weight.scales.length);
  forEachGroup(weight, form, (at, group) => {
    scales[at] = weight.scales[group] ?? 0;
  });
  return new Uint8Array(scales.buffer);
}

/** Zero points, stored like codes, in the order of the scales. */
export function encodeZeroPoints(weight: QuantizedWeight, form: LayerForm): Uint8Array {
  const out = new IntegerBytes(weight.zeroPoints.length, form);
  forEachGroup(weight, form, (at, group) => out.set(at, weight.zeroPoints[group] ?? 0));
  return out.bytes;
}

/** Numbers of a kernel in a form whose order is `columns`. */
export function kernelOf({ shape }: Pick<LayerForm, "shape">): number {
  return shape.slice(2).reduce((product, size) => product * size, 1);
}

/** Where `[in, out, kernel]` has what a row has at a column `in * kernel`. */
export function placeInColumns(row: number, column: number, rows: number, kernel: number): number {
  return (Math.floor(column / kernel) * rows + row) * kernel + (column % kernel);
}

/** Calls with the stored place of every group `row * groups + g`. */
export function forEachGroup(
  { rows, columns, groupSize }: Pick<QuantizedWeight, "rows" | "columns" | "groupSize">,
  { order, blockSize }: Pick<LayerForm, "order" | "blockSize">,
  visit: (at: number, group: number) => void,
): void {
  const groups = columns / groupSize;
  const turned = order === "columns" && blockSize !== null;
  for (let row = 0; row < rows; row++) {
    for (let g = 0; g < groups; g++) visit(turned ? g * rows + row : row * groups + g, row * groups + g);
  }
}

class IntegerBytes {
  readonly bytes: Uint8Array;
  readonly #nibbles: boolean;
  readonly #shift: number;

  constructor(count: number, { type, shift }: LayerForm) {
    this.#nibbles = isNibble(type);
    this.#shift = shift;
    this.bytes = new Uint8Array(this.#nibbles ? Math.ceil(count / 2) : count);
  }

  set(at: number, code: number): void {
    const value = code - this.#shift;
    if (!this.#nibbles) {
      this.bytes[at] = value & 255;
      return;
    }
    const byte = at >> 1;
    this.bytes[byte] = (this.bytes[byte] ?? 0) | ((value & 15) << (4 * (at & 1)));
  }
}
