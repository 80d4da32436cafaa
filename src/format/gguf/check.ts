import type { SafetensorsDType } from "../../checkpoint/dtype.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { floatsFromBytes } from "../bits/float-bytes.js";
import { roundToHalf } from "../bits/half.js";
import { signedWeightHash, type WeightHash } from "../bits/weight-hash.js";
import type { ExportSource } from "../contract/export-source.js";
import { readSound } from "../contract/output-tensors.js";
import type { TensorCheck } from "../contract/tensor-check.js";
import { type DecodedBlocks, decodeBlocks, dequantize, isQuantizedType } from "./blocks/decode.js";
import { type GgufType, type QuantizedType, TENSOR_TYPES } from "./file/layout.js";
import { openRows } from "./file/row-writer.js";
import { type GgufPlanOptions, type PlannedTensor, planGguf } from "./plan.js";
import type { GgufFile } from "./read.js";

/**
 * Compares every tensor of a file with the result it was written from, by the decoder and not by the encoder.
 * `options` are those that it was written with.
 */
export async function* checkGguf(
  file: GgufFile,
  result: ExportSource,
  options: GgufPlanOptions = {},
): AsyncGenerator<TensorCheck, void, undefined> {
  const plan = planGguf(result, options);
  for (const tensor of plan.tensors) yield await checkTensor(file, tensor, plan.source, plan.tables);
  const planned = new Set(plan.tensors.map(({ name }) => name));
  for (const name of file.tensors.keys()) {
    if (!planned.has(name)) yield { name, source: null, status: "unexpected" };
  }
}

async function checkTensor(
  file: GgufFile,
  tensor: PlannedTensor,
  source: ExportSource,
  tables: ReadonlyMap<string, Float32Array>,
): Promise<TensorCheck> {
  const facts = { name: tensor.name, source: tensor.source };
  const stored = file.tensors.get(tensor.name);
  if (stored === undefined) return { ...facts, status: "missing" };
  if (stored.type !== tensor.type || stored.shape.join() !== tensor.shape.join()) {
    const detail = `${stored.type} [${stored.shape.join(", ")}] instead of ${tensor.type} [${tensor.shape.join(", ")}]`;
    return { ...facts, status: "different", detail };
  }
  const bytes = file.readBytes(tensor.name);
  if (tensor.source === null)
    return { ...facts, ...compareValues(dequantize(stored.type, bytes), tables.get(tensor.name) ?? null) };
  if (tensor.fidelity === "reencoded" || tensor.fidelity === "converted") {
    return { ...facts, ...(await compareRounded(bytes, tensor, tensor.source, source)) };
  }
  const rows = tensor.rowOrder === null ? bytes : restoreRows(bytes, tensor.rowOrder);
  if (tensor.layout !== null && isQuantizedType(stored.type)) {
    const weight = await readSound(source, tensor.source, tensor.layout);
    return { ...facts, ...compareCodes(stored.type, rows, weight) };
  }
  const dtype = source.plain.get(tensor.source)?.dtype ?? "F32";
  const plain = await source.readPlain(tensor.source);
  if (tensor.plusOne) {
    const gains = floatsFromBytes(plain, dtype, tensor.source).map((value) => value + 1);
    return { ...facts, ...compareValues(dequantize(stored.type, rows), gains) };
  }
  const expected = { dtype, bytes: plain, name: tensor.source };
  return { ...facts, ...compareFloats(stored.type, rows, expected) };
}

/** Values that are decoded at once: an embedding is large, and in fp32 twice as large again. */
const PIECE = 2 ** 20;

/** The values of an unquantized tensor, piece by piece; where the type is the source's own the bytes tell already. */
function compareFloats(
  type: GgufType,
  stored: Uint8Array,
  { dtype, bytes, name }: { readonly dtype: SafetensorsDType; readonly bytes: Uint8Array; readonly name: string },
): Verdict {
  if (type === dtype && Buffer.compare(stored, bytes) === 0) return { status: "same" };
  const width = TENSOR_TYPES[type].bytes;
  const sourceWidth = dtype === "F32" ? 4 : 2;
  const count = stored.length / width;
  for (let from = 0; from < count; from += PIECE) {
    const values = dequantize(type, stored.subarray(from * width, (from + PIECE) * width));
    const expected = floatsFromBytes(bytes.subarray(from * sourceWidth, (from + PIECE) * sourceWidth), dtype, name);
    const verdict = compareValues(values, expected, from);
    if (verdict.status !== "same") return verdict;
  }
  // Equal values of other bytes: only zeros have two.
  return type === dtype ? { status: "different", detail: "a zero has the other sign" } : { status: "same" };
}

/** Puts the file's rows where the result has them: the inverse of the rotary order. */
function restoreRows(bytes: Uint8Array, order: Int32Array): Uint8Array {
  const rowBytes = bytes.length / order.length;
  const restored = new Uint8Array(bytes.length);
  order.forEach((to, row) => {
    restored.set(bytes.subarray(row * rowBytes, (row + 1) * rowBytes), to * rowBytes);
  });
  return restored;
}

type Verdict = Pick<TensorCheck, "status" | "detail" | "relativeError" | "hash">;

/** Codes, scales and zero points against the integers, scales and minimums of the blocks. */
function compareCodes(type: QuantizedType, bytes: Uint8Array, weight: QuantizedWeight): Verdict {
  const blocks = decodeBlocks(type, bytes);
  const { integers, scales, minimums, subBlock } = blocks;
  const { columns, groupSize } = weight;
  const hasMinimum = type === "Q4_1" || type === "Q2_K" || type === "Q4_K";
  const sign = signOf(type);
  const hash = blocksHash(blocks, hasMinimum, sign, weight);
  const different = (detail: string): Verdict => ({ status: "different", detail, hash });
  const place = (e: number): string => `row ${Math.floor(e / columns)}, column ${e % columns}`;
  for (let e = 0; e < integers.length; e++) {
    const group = Math.floor(e / groupSize);
    const scale = weight.scales[group] ?? 0;
    const zeroPoint = weight.zeroPoints[group] ?? 0;
    const s = Math.floor(e / subBlock);
    if (e % subBlock === 0) {
      if (scales[s] !== sign * scale) {
        return different(`scale ${scales[s]} instead of ${sign * scale} at ${place(e)}`);
      }
      const exact = scale * zeroPoint;
      const minimum = hasMinimum ? (type === "Q4_1" ? roundToHalf(exact) : exact) : 0;
      if ((minimums[s] ?? Number.NaN) - minimum !== 0) {
        return different(`minimum ${minimums[s]} instead of ${minimum} at ${place(e)}`);
      }
    }
    const step = sign * ((weight.codes[e] ?? 0) - (hasMinimum ? 0 : zeroPoint));
    if ((integers[e] ?? Number.NaN) - step !== 0) {
      return different(`code ${integers[e]} instead of ${step} at ${place(e)}`);
    }
  }
  return { status: "same", hash };
}

/** Q2_0 and TQ2_0 reach further up than down, the grid further down than up: they hold the negative of both. */
function signOf(type: QuantizedType): 1 | -1 {
  return type === "Q2_0" || type === "TQ2_0" ? -1 : 1;
}

/** The hash of what the blocks hold, regrouped as the result is; the first block of a group speaks for its scale. */
function blocksHash(
  { integers, scales, minimums, subBlock }: DecodedBlocks,
  hasMinimum: boolean,
  sign: 1 | -1,
  { rows, columns, groupSize }: QuantizedWeight,
): WeightHash {
  const groups = columns / groupSize;
  const perGroup = groupSize / subBlock;
  const ofGroup = Float32Array.from({ length: rows * groups }, (_, group) => sign * (scales[group * perGroup] ?? 0));
  return signedWeightHash({
    rows,
    columns,
    scales: ofGroup,
    row(row, into) {
      for (let column = 0; column < columns; column++) {
        const s = Math.floor((row * columns + column) / subBlock);
        // A minimum is the scale times the zero point, to fp16 precision at least.
        const zeroPoint = hasMinimum ? Math.round((minimums[s] ?? 0) / (scales[s] ?? 1)) : 0;
        into[column] = sign * (integers[row * columns + column] ?? 0) - zeroPoint;
      }
    },
  });
}

/** A lossy tensor against the same rounding once more: a flipped byte must not pass for a loss. */
async function compareRounded(
  bytes: Uint8Array,
  tensor: PlannedTensor,
  name: string,
  source: ExportSource,
): Promise<Verdict> {
  const writer = await openRows(tensor, name, source);
  const expected = new Uint8Array(writer.rowBytes);
  for (let row = 0; row < writer.rows; row++) {
    expected.fill(0);
    writer.write(row, expected, 0);
    if (Buffer.compare(expected, bytes.subarray(row * writer.rowBytes, (row + 1) * writer.rowBytes)) !== 0) {
      return { status: "different", detail: `row ${row} of the file is not the result's, rounded` };
    }
  }
  return { status: "lossy", relativeError: writer.relativeError() };
}

function compareValues(stored: Float32Array, expected: Float32Array | null, from = 0): Verdict {
  const e = stored.findIndex((value, i) => value !== expected?.[i]);
  if (e < 0) return { status: "same" };
  return { status: "different", detail: `value ${stored[e]} instead of ${expected?.[e]} at element ${from + e}` };
}
