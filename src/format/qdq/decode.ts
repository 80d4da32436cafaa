import type { OnnxContent } from "../../checkpoint/onnx/onnx-content.js";
import { FormatError } from "../../errors.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import type { QuantizedLayout } from "../contract/export-source.js";
import { isNibble } from "./layer-form.js";
import type { StoredLayer } from "./stored-layers.js";

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

/**
 * What a stored layer's tensors tell of its codes; integers of a foreign file count as codes of all their bits. Null for scales
 * that are neither of the whole weight, nor of rows, nor of groups of their columns.
 */
export function layoutOfStored(content: OnnxContent, layer: StoredLayer): QuantizedLayout | null {
  const { shape, rowAxis, type, zeroPoints, groups } = layer;
  const rows = (shape[rowAxis] ?? 1) * groups;
  const columns = product(shape) / Math.max(1, rows);
  const groupSize = isWhole(content, layer) ? columns : groupSizeOf(layer, rows, columns);
  if (groupSize === null || rows < 1 || columns < 1) return null;
  const points = zeroPoints === null ? [] : content.readBytes(zeroPoints);
  const symmetric = isSigned(layer) && points.every((byte) => byte === 0);
  return { bits: isNibble(type) ? 4 : 8, rows, columns, groupSize, perChannel: groupSize === columns, symmetric };
}

/** One scale for the whole weight: foreign files have it. */
function isWhole({ tensors }: OnnxContent, { scales, blockSize }: StoredLayer): boolean {
  return blockSize === null && product(tensors.get(scales)?.shape ?? []) === 1;
}

function isSigned({ type }: StoredLayer): boolean {
  return type === "int4" || type === "int8";
}

/** Columns of a row that share a scale; null for scales that are none of rows. */
function groupSizeOf(
  { stored, shape, axis, blockSize, rowAxis, transposed, groups }: StoredLayer,
  rows: number,
  columns: number,
): number | null {
  const own = stored.join() === shape.join() && !transposed;
  // A scale for a channel of every group at once is none of rows.
  if (own && groups > 1) return null;
  if (own && blockSize === null) return axis === rowAxis ? columns : null;
  if (own) return axis === 1 - rowAxis && product(shape.slice(2)) === 1 ? blockSize : null;
  // Groups one below the other, reshaped to rows.
  if (blockSize !== null || axis !== 0 || stored.length !== 2) return null;
  const [slices = 0, width = 0] = stored;
  const first = transposed ? 1 - rowAxis : rowAxis;
  return first === 0 && slices * width === rows * columns && width > 0 && columns % width === 0 ? width : null;
}

/**
 * Codes, scales and zero points of a stored layer, by ONNX's description of DequantizeLinear.
 *
 * @throws FormatError for tensors of other sizes than the layer's, and for codes beyond their bits
 */
export function decodeLayer(
  content: OnnxContent,
  module: string,
  layer: StoredLayer,
  layout: QuantizedLayout,
): QuantizedWeight {
  const { file, tensors } = content;
  const { rows, columns, groupSize, bits, symmetric } = layout;
  const groups = columns / groupSize;
  const scaleType = tensors.get(layer.scales)?.dataType;
  if (scaleType !== "float32") fail(file, module, `scales of the type ${scaleType}, where fp32 is read`);
  const scaleCount = product(tensors.get(layer.scales)?.shape ?? []);
  const whole = isWhole(content, layer);
  if (!whole && scaleCount !== rows * groups) fail(file, module, `${scaleCount} scales for ${rows * groups} groups`);
  const zeros = layer.zeroPoints === null ? null : tensors.get(layer.zeroPoints);
  if (zeros !== null && (zeros?.dataType !== layer.type || product(zeros.shape) !== scaleCount)) {
    fail(file, module, "zero points of another type or size than the scales'");
  }
  const shift = isSigned(layer) ? 2 ** (bits - 1) : 0;
  const integers = integersOf(content.readBytes(layer.codes), layer, rows * columns);
  const codes = new Uint8Array(rows * columns);
  const place = placeOf(layer, rows, columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const code = (integers[place(row, column)] ?? 0) + shift;
      if (code < 0 || code >= 2 ** bits)
        fail(file, module, `the code ${code} at row ${row}, column ${column}, which has ${bits} bits`);
      codes[row * columns + column] = code;
    }
  }
  const stored = new Float32Array(Uint8Array.from(content.readBytes(layer.scales)).buffer);
  const points = layer.zeroPoints === null ? null : integersOf(content.readBytes(layer.zeroPoints), layer, scaleCount);
  const scales = new Float32Array(rows * groups);
  const zeroPoints = new Uint8Array(rows * groups);
  const turned = layer.blockSize !== null && layer.rowAxis === 1;
  for (let row = 0; row < rows; row++) {
    for (let g = 0; g < groups; g++) {
      const at = whole ? 0 : turned ? g * rows + row : row * groups + g;
      const [scale, zeroPoint] = [stored[at] ?? Number.NaN, (points?.[at] ?? 0) + shift];
      if (!Number.isFinite(scale)) fail(file, module, "a scale that is no finite number");
      if (zeroPoint < 0 || zeroPoint >= 2 ** bits)
        fail(file, module, `the zero point ${zeroPoint} of codes of ${bits} bits`);
      scales[row * groups + g] = scale;
      zeroPoints[row * groups + g] = zeroPoint;
    }
  }
  if (symmetric && zeroPoints.some((point) => point !== 2 ** (bits - 1))) {
    fail(file, module, "zero points in a layer that is said to have none");
  }
  return { ...layout, codes, scales, zeroPoints };
}

/** Where the stored integers have what a row has at a column. */
function placeOf(
  { shape, stored, rowAxis, transposed, groups }: StoredLayer,
  rows: number,
  columns: number,
): (row: number, column: number) => number {
  const reshaped = transposed || stored.join() !== shape.join();
  if (reshaped || rowAxis === 0) return (row, column) => row * columns + column;
  const kernel = product(shape.slice(2));
  const [outputs, inputs] = [rows / groups, (shape[1 - rowAxis] ?? 1) / groups];
  return (row, column) => {
    const input = Math.floor(row / outputs) * inputs + Math.floor(column / kernel);
    return (input * outputs + (row % outputs)) * kernel + (column % kernel);
  };
}

function integersOf(bytes: Uint8Array, layer: StoredLayer, count: number): Int16Array {
  const signed = isSigned(layer);
  if (!isNibble(layer.type))
    return Int16Array.from({ length: count }, (_, i) => (signed ? ((bytes[i] ?? 0) << 24) >> 24 : (bytes[i] ?? 0)));
  return Int16Array.from({ length: count }, (_, i) => {
    const value = ((bytes[i >> 1] ?? 0) >> (4 * (i & 1))) & 15;
    return signed ? (value << 28) >> 28 : value;
  });
}

function fail(file: string, module: string, what: string): never {
  throw new FormatError({
    what,
    where: `${file}, ${module}`,
    why: "the file is damaged, or its integers are laid out otherwise than crossblock reads them",
    next: "export or download it again",
  });
}
