import type { QuantizedWeight } from "../../../quant/quantized-weight.js";
import { floatsFromBytes } from "../../bits/float-bytes.js";
import { toBfloat16Bits, toHalfBits } from "../../bits/half.js";
import type { ExportSource } from "../../contract/export-source.js";
import { readSound } from "../../contract/output-tensors.js";
import { dequantize } from "../blocks/decode.js";
import { rowEncoder } from "../blocks/encode.js";
import { floatRowEncoder, type ReencodedType, reencoder } from "../blocks/reencode.js";
import type { PlannedTensor } from "../plan.js";
import type { FloatType } from "./layout.js";

/** A tensor opened for writing, row by row; a 1-D tensor has one element per row. */
export interface RowWriter {
  readonly rows: number;
  readonly rowBytes: number;
  /** Writes the file's row at `at`, where the bytes are zero. */
  write(row: number, out: Uint8Array, at: number): void;
  /** Mean squared error of all rows written so far, relative to the mean square of the values; 0 when exact. */
  relativeError(): number;
}

/** Reads the tensor's source and returns the writer of its rows. */
export async function openRows(tensor: PlannedTensor, name: string, source: ExportSource): Promise<RowWriter> {
  // Those of all experts follow one another.
  const columns = tensor.shape.length < 2 ? 1 : (tensor.shape.at(-1) ?? 1);
  const rows = tensor.shape.reduce((product, size) => product * size, 1) / columns;
  const { encode, valuesOf } =
    tensor.layout === null
      ? await openPlain(tensor, name, source, columns)
      : openQuantized(tensor, await readSound(source, name, tensor.layout), name);
  const rowBytes = tensor.byteLength / rows;
  let error = 0;
  let power = 0;
  return {
    rows,
    rowBytes,
    write(row, out, at) {
      const from = tensor.rowOrder?.[row] ?? row;
      encode(from, out, at);
      if (tensor.fidelity === "exact") return;
      const values = valuesOf(from);
      const stored = dequantize(tensor.type, out.subarray(at, at + rowBytes));
      for (let e = 0; e < columns; e++) {
        const value = values[e] ?? 0;
        error += (value - (stored[e] ?? 0)) ** 2;
        power += value ** 2;
      }
    },
    relativeError: () => (power === 0 ? 0 : error / power),
  };
}

interface OpenRows {
  readonly encode: (row: number, out: Uint8Array, at: number) => void;
  readonly valuesOf: (row: number) => Float32Array;
}

function openQuantized(tensor: PlannedTensor, weight: QuantizedWeight, module: string): OpenRows {
  const valuesOf = (row: number): Float32Array => rowValues(weight, row);
  const { type } = tensor;
  if (type === "F32" || type === "F16" || type === "BF16") {
    return { valuesOf, encode: (row, out, at) => putFloats(valuesOf(row), type, out, at) };
  }
  if (tensor.fidelity !== "reencoded") return { valuesOf, encode: rowEncoder(weight, type, module) };
  return { valuesOf, encode: reencoder(weight, type as ReencodedType, valuesOf) };
}

/** One row of `scale * (code - zeroPoint)`. */
export function rowValues(weight: QuantizedWeight, row: number): Float32Array {
  const { codes, scales, zeroPoints, columns, groupSize } = weight;
  const values = new Float32Array(columns);
  for (let column = 0; column < columns; column++) {
    const group = row * (columns / groupSize) + Math.floor(column / groupSize);
    values[column] = (scales[group] ?? 0) * ((codes[row * columns + column] ?? 0) - (zeroPoints[group] ?? 0));
  }
  return values;
}

async function openPlain(
  tensor: PlannedTensor,
  name: string,
  source: ExportSource,
  columns: number,
): Promise<OpenRows> {
  const dtype = source.plain.get(name)?.dtype ?? "F32";
  const bytes = await source.readPlain(name);
  const sourceRow = columns * (dtype === "F32" ? 4 : 2);
  const bytesOf = (row: number): Uint8Array => bytes.subarray(row * sourceRow, (row + 1) * sourceRow);
  const stored = (row: number): Float32Array => floatsFromBytes(bytesOf(row), dtype, name);
  const { type, plusOne } = tensor;
  const valuesOf = plusOne ? (row: number): Float32Array => stored(row).map((value) => value + 1) : stored;
  if (type === dtype && !plusOne) return { valuesOf, encode: (row, out, at) => out.set(bytesOf(row), at) };
  if (type === "F32" || type === "F16" || type === "BF16") {
    return { valuesOf, encode: (row, out, at) => putFloats(valuesOf(row), type, out, at) };
  }
  const encode = floatRowEncoder("Q8_0");
  return { valuesOf, encode: (row, out, at) => encode(valuesOf(row), out, at) };
}

/** Floats at `at`, little-endian, rounded to nearest even. */
export function putFloats(values: Float32Array, type: FloatType, out: Uint8Array, at: number): void {
  const view = new DataView(out.buffer, out.byteOffset + at);
  for (let e = 0; e < values.length; e++) {
    const value = values[e] ?? 0;
    if (type === "F32") view.setFloat32(e * 4, value, true);
    else view.setUint16(e * 2, (type === "F16" ? toHalfBits : toBfloat16Bits)(value), true);
  }
}
