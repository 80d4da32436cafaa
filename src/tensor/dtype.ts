/** Element types, with libtorch's own numbers (c10/core/ScalarType.h) and the array that holds them. */
const table = {
  uint8: { code: 0, bytes: 1, array: Uint8Array },
  int8: { code: 1, bytes: 1, array: Int8Array },
  int16: { code: 2, bytes: 2, array: Int16Array },
  int32: { code: 3, bytes: 4, array: Int32Array },
  int64: { code: 4, bytes: 8, array: BigInt64Array },
  float16: { code: 5, bytes: 2, array: Uint16Array },
  float32: { code: 6, bytes: 4, array: Float32Array },
  float64: { code: 7, bytes: 8, array: Float64Array },
  bool: { code: 11, bytes: 1, array: Uint8Array },
  bfloat16: { code: 15, bytes: 2, array: Uint16Array },
  float8_e4m3fn: { code: 24, bytes: 1, array: Uint8Array },
} as const;

export type DType = keyof typeof table;

/** The typed array that shows a tensor's memory; fp16, bf16 and fp8 show their bits. */
export type TypedArray =
  | Uint8Array
  | Int8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array;

const byCode = new Map<number, DType>(Object.entries(table).map(([name, row]) => [row.code, name as DType]));

/** libtorch's number of a dtype. */
export function dtypeCode(dtype: DType): number {
  return table[dtype].code;
}

/** The dtype with libtorch's number `code`; a RangeError for one that crossblock doesn't use. */
export function dtypeOf(code: number): DType {
  const dtype = byCode.get(code);
  if (dtype === undefined) {
    throw new RangeError(`libtorch dtype ${code} is not supported`);
  }
  return dtype;
}

/** Bytes of one element. */
export function elementSize(dtype: DType): number {
  return table[dtype].bytes;
}

/** A typed array over `buffer` that shows elements of `dtype`. */
export function viewAs(dtype: DType, buffer: ArrayBuffer): TypedArray {
  return new table[dtype].array(buffer);
}

/** The dtype that a typed array holds by itself; a Uint16Array says nothing (fp16 or bf16). */
export function dtypeOfArray(array: TypedArray): DType | null {
  if (array instanceof Float32Array) return "float32";
  if (array instanceof Float64Array) return "float64";
  if (array instanceof Int32Array) return "int32";
  if (array instanceof BigInt64Array) return "int64";
  if (array instanceof Int16Array) return "int16";
  if (array instanceof Int8Array) return "int8";
  if (array instanceof Uint8Array) return "uint8";
  return null;
}
