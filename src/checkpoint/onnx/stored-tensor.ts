import { FormatError } from "../../errors.js";
import { quote } from "../json/json.js";
import { DATA_TYPE_BYTES, type DataType, dataTypeOf, type OnnxTensor } from "./schema.js";

/** PyTorch's own limit on dimensions, and ours. */
const MAX_RANK = 64;

/** What a tensor's message says of it. */
export interface TensorFacts {
  readonly name: string;
  readonly dataType: DataType;
  readonly shape: readonly number[];
  readonly byteLength: number;
}

/**
 * Name, type and shape of a tensor in a file, checked.
 *
 * @param where the file
 * @throws FormatError naming the tensor
 */
export function tensorFacts({ name = "", shape = [], dataType: id }: OnnxTensor, where: string): TensorFacts {
  const dataType = dataTypeOf(id) ?? damaged(where, name, `data type ${id ?? 0}`);
  const byteLength = Math.ceil(shape.reduce((product, size) => product * size, DATA_TYPE_BYTES[dataType]));
  if (shape.length > MAX_RANK) damaged(where, name, `${shape.length} dimensions, more than ${MAX_RANK}`);
  if (shape.some((size) => size < 0) || !Number.isSafeInteger(byteLength)) damaged(where, name, `shape [${shape}]`);
  return { name, dataType, shape, byteLength };
}

/**
 * The little-endian bytes of a tensor that lies in the message: `raw_data`, or the lists of numbers that stand in its place.
 *
 * @throws FormatError where they are not as many as its shape says
 */
export function tensorBytes(tensor: OnnxTensor, where: string): Uint8Array {
  const facts = tensorFacts(tensor, where);
  const { byteLength, dataType, name, shape } = facts;
  const { rawData } = tensor;
  if (rawData !== undefined) {
    if (rawData.length !== byteLength) damaged(where, name, `${rawData.length} bytes instead of ${byteLength}`);
    return rawData;
  }
  const { field, write } = LISTS[dataType];
  const values = tensor[field] ?? [];
  const count = byteLength / Math.max(1, DATA_TYPE_BYTES[dataType]);
  if (values.length !== count) damaged(where, name, `${values.length} numbers for the shape [${shape}]`);
  const bytes = new Uint8Array(byteLength);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => {
    write(view, i, value);
  });
  return bytes;
}

interface List {
  readonly field: "floatData" | "int32Data" | "int64Data" | "doubleData";
  readonly write: (view: DataView, at: number, value: number) => void;
}

const bytesOf: List = { field: "int32Data", write: (view, at, value) => view.setUint8(at, value) };
/** Half floats too are listed as their bits. */
const halves: List = { field: "int32Data", write: (view, at, value) => view.setUint16(2 * at, value, true) };

const LISTS: Readonly<Record<DataType, List>> = {
  float32: { field: "floatData", write: (view, at, value) => view.setFloat32(4 * at, value, true) },
  float64: { field: "doubleData", write: (view, at, value) => view.setFloat64(8 * at, value, true) },
  int32: { field: "int32Data", write: (view, at, value) => view.setInt32(4 * at, value, true) },
  int64: { field: "int64Data", write: (view, at, value) => view.setBigInt64(8 * at, BigInt(value), true) },
  int8: bytesOf,
  uint8: bytesOf,
  bool: bytesOf,
  // Pairs of numbers, as in bytes.
  int4: bytesOf,
  uint4: bytesOf,
  int16: halves,
  uint16: halves,
  float16: halves,
  bfloat16: halves,
};

/** @throws FormatError of a tensor in a damaged file */
export function damaged(file: string, tensor: string, what: string): never {
  throw new FormatError({
    what,
    where: `${file}, ${quote(tensor)}`,
    why: "the file is damaged",
    next: "export or download it again",
  });
}
