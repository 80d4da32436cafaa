/**
 * GGUF v3, all little-endian: magic, u32 version, u64 tensor count, u64 key count, the key-value entries,
 * the tensor descriptions, padding to the alignment, then the tensors, each padded to the alignment.
 * A string is a u64 length and UTF-8. Source: ggml's `gguf.h` and `ggml-common.h`.
 */
export const GGUF_MAGIC = 0x46554747;
export const GGUF_VERSION = 3;
export const GGUF_ALIGNMENT = 32;
/** ggml keeps a tensor's name in 64 bytes, terminator included. */
export const GGUF_NAME_BYTES = 63;
export const GGUF_MAX_DIMENSIONS = 4;

/** Numbers of the types that a metadata value can have. */
export const VALUE_TYPES = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
} as const;

export type GgufValueType = keyof typeof VALUE_TYPES;
export type GgufScalarType = Exclude<GgufValueType, "array">;
export type GgufScalar = number | bigint | boolean | string;

/** One metadata value with the type it has in the file; 64-bit integers are bigints. */
export type GgufValue =
  | { readonly type: Exclude<GgufScalarType, "u64" | "i64" | "bool" | "string">; readonly value: number }
  | { readonly type: "u64" | "i64"; readonly value: bigint }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "array"; readonly element: GgufScalarType; readonly values: readonly GgufScalar[] };

/** How one tensor type is stored: blocks of `elements` neighbours along a row, `bytes` each. */
export interface BlockLayout {
  readonly id: number;
  readonly elements: number;
  readonly bytes: number;
}

/** Every tensor type that a reader may meet; crossblock writes those of `QuantizedType` and `FloatType`. */
export const TENSOR_TYPES = {
  F32: { id: 0, elements: 1, bytes: 4 },
  F16: { id: 1, elements: 1, bytes: 2 },
  Q4_0: { id: 2, elements: 32, bytes: 18 },
  Q4_1: { id: 3, elements: 32, bytes: 20 },
  Q5_0: { id: 6, elements: 32, bytes: 22 },
  Q5_1: { id: 7, elements: 32, bytes: 24 },
  Q8_0: { id: 8, elements: 32, bytes: 34 },
  Q8_1: { id: 9, elements: 32, bytes: 40 },
  Q2_K: { id: 10, elements: 256, bytes: 84 },
  Q3_K: { id: 11, elements: 256, bytes: 110 },
  Q4_K: { id: 12, elements: 256, bytes: 144 },
  Q5_K: { id: 13, elements: 256, bytes: 176 },
  Q6_K: { id: 14, elements: 256, bytes: 210 },
  Q8_K: { id: 15, elements: 256, bytes: 292 },
  IQ2_XXS: { id: 16, elements: 256, bytes: 66 },
  IQ2_XS: { id: 17, elements: 256, bytes: 74 },
  IQ3_XXS: { id: 18, elements: 256, bytes: 98 },
  IQ1_S: { id: 19, elements: 256, bytes: 50 },
  IQ4_NL: { id: 20, elements: 32, bytes: 18 },
  IQ3_S: { id: 21, elements: 256, bytes: 110 },
  IQ2_S: { id: 22, elements: 256, bytes: 82 },
  IQ4_XS: { id: 23, elements: 256, bytes: 136 },
  I8: { id: 24, elements: 1, bytes: 1 },
  I16: { id: 25, elements: 1, bytes: 2 },
  I32: { id: 26, elements: 1, bytes: 4 },
  I64: { id: 27, elements: 1, bytes: 8 },
  F64: { id: 28, elements: 1, bytes: 8 },
  IQ1_M: { id: 29, elements: 256, bytes: 56 },
  BF16: { id: 30, elements: 1, bytes: 2 },
  TQ1_0: { id: 34, elements: 256, bytes: 54 },
  TQ2_0: { id: 35, elements: 256, bytes: 66 },
  MXFP4: { id: 39, elements: 32, bytes: 17 },
  NVFP4: { id: 40, elements: 64, bytes: 36 },
  Q1_0: { id: 41, elements: 128, bytes: 18 },
  Q2_0: { id: 42, elements: 64, bytes: 18 },
} as const satisfies Record<string, BlockLayout>;

export type GgufType = keyof typeof TENSOR_TYPES;
/** Block types that crossblock writes and decodes. */
export type QuantizedType = "Q4_0" | "Q4_1" | "Q8_0" | "Q2_0" | "TQ2_0" | "Q2_K" | "Q3_K" | "Q4_K";
export type FloatType = "F32" | "F16" | "BF16";

/** `general.file_type`: what listings show as the quantization of the file. Informative only. */
export const FILE_TYPES: Readonly<Record<QuantizedType | FloatType, number>> = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q8_0: 7,
  Q2_K: 10,
  Q3_K: 11,
  Q4_K: 14,
  BF16: 32,
  TQ2_0: 37,
  Q2_0: 41,
};

/** Bytes of `count` elements of `type`; `count` must fill whole blocks. */
export function byteLengthOf(type: GgufType, count: number): number {
  const { elements, bytes } = TENSOR_TYPES[type];
  return (count / elements) * bytes;
}

export function alignUp(offset: number, alignment: number = GGUF_ALIGNMENT): number {
  return Math.ceil(offset / alignment) * alignment;
}
