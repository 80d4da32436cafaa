/**
 * ONNX as data: each message's fields with their numbers, after `onnx.proto` (IR version 10). A file is one `MODEL` message
 * in protobuf's wire format; files are read and written by the same table.
 */

/**
 * Kinds of fields: `int` is a varint (enums and 32- or 64-bit integers), `long` one beyond 2^53, which is read as the nearest
 * whole number within (the open end of a Slice), `float` four bytes, `double` eight, the rest has a length.
 */
export type FieldKind = "int" | "long" | "float" | "double" | "string" | "bytes" | Schema;

export interface Field {
  readonly number: number;
  readonly kind: FieldKind;
  readonly repeated?: true;
}

export interface Schema {
  readonly [name: string]: Field;
}

type ValueOf<K extends FieldKind> = K extends "int" | "long" | "float" | "double"
  ? number
  : K extends "string"
    ? string
    : K extends "bytes"
      ? Uint8Array
      : K extends Schema
        ? MessageOf<K>
        : never;

/** A message of a schema as a plain object. Fields that a message leaves out are absent; repeated ones are arrays. */
export type MessageOf<S extends Schema> = {
  readonly [N in keyof S]?: S[N] extends { readonly repeated: true }
    ? readonly ValueOf<S[N]["kind"]>[]
    : ValueOf<S[N]["kind"]>;
};

export const STRING_ENTRY = {
  key: { number: 1, kind: "string" },
  value: { number: 2, kind: "string" },
} as const satisfies Schema;

const DIMENSION = {
  value: { number: 1, kind: "int" },
  symbol: { number: 2, kind: "string" },
} as const satisfies Schema;

const SHAPE = { dimensions: { number: 1, kind: DIMENSION, repeated: true } } as const satisfies Schema;

const TENSOR_TYPE = {
  elementType: { number: 1, kind: "int" },
  shape: { number: 2, kind: SHAPE },
} as const satisfies Schema;

const TYPE = { tensor: { number: 1, kind: TENSOR_TYPE } } as const satisfies Schema;

export const VALUE = {
  name: { number: 1, kind: "string" },
  type: { number: 2, kind: TYPE },
} as const satisfies Schema;

export const TENSOR = {
  shape: { number: 1, kind: "int", repeated: true },
  dataType: { number: 2, kind: "int" },
  floatData: { number: 4, kind: "float", repeated: true },
  int32Data: { number: 5, kind: "int", repeated: true },
  int64Data: { number: 7, kind: "long", repeated: true },
  name: { number: 8, kind: "string" },
  rawData: { number: 9, kind: "bytes" },
  doubleData: { number: 10, kind: "double", repeated: true },
  externalData: { number: 13, kind: STRING_ENTRY, repeated: true },
  dataLocation: { number: 14, kind: "int" },
} as const satisfies Schema;

export const ATTRIBUTE = {
  name: { number: 1, kind: "string" },
  float: { number: 2, kind: "float" },
  int: { number: 3, kind: "long" },
  string: { number: 4, kind: "bytes" },
  type: { number: 20, kind: "int" },
  tensor: { number: 5, kind: TENSOR },
  /** A graph within the graph: a branch or the body of a loop. */
  graph: { number: 6, kind: "bytes" },
  floats: { number: 7, kind: "float", repeated: true },
  ints: { number: 8, kind: "long", repeated: true },
  graphs: { number: 11, kind: "bytes", repeated: true },
} as const satisfies Schema;

export const NODE = {
  inputs: { number: 1, kind: "string", repeated: true },
  outputs: { number: 2, kind: "string", repeated: true },
  name: { number: 3, kind: "string" },
  operator: { number: 4, kind: "string" },
  attributes: { number: 5, kind: ATTRIBUTE, repeated: true },
  domain: { number: 7, kind: "string" },
} as const satisfies Schema;

export const GRAPH = {
  nodes: { number: 1, kind: NODE, repeated: true },
  name: { number: 2, kind: "string" },
  initializers: { number: 5, kind: TENSOR, repeated: true },
  inputs: { number: 11, kind: VALUE, repeated: true },
  outputs: { number: 12, kind: VALUE, repeated: true },
  /** Types and shapes of values within, where the file tells them. */
  values: { number: 13, kind: VALUE, repeated: true },
  sparseInitializers: { number: 15, kind: "bytes", repeated: true },
} as const satisfies Schema;

export const OPERATOR_SET = {
  domain: { number: 1, kind: "string" },
  version: { number: 2, kind: "int" },
} as const satisfies Schema;

/** A whole file. */
export const MODEL = {
  irVersion: { number: 1, kind: "int" },
  producerName: { number: 2, kind: "string" },
  producerVersion: { number: 3, kind: "string" },
  graph: { number: 7, kind: GRAPH },
  operatorSets: { number: 8, kind: OPERATOR_SET, repeated: true },
  metadata: { number: 14, kind: STRING_ENTRY, repeated: true },
  functions: { number: 25, kind: "bytes", repeated: true },
} as const satisfies Schema;

export type OnnxModel = MessageOf<typeof MODEL>;
export type OnnxNode = MessageOf<typeof NODE>;
export type OnnxTensor = MessageOf<typeof TENSOR>;
export type OnnxValue = MessageOf<typeof VALUE>;
export type OnnxAttribute = MessageOf<typeof ATTRIBUTE>;

/** `TensorProto.DataType`. */
export const DATA_TYPES = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  bfloat16: 16,
  uint4: 21,
  int4: 22,
} as const;

export type DataType = keyof typeof DATA_TYPES;

/** Bytes per element; two numbers of 4 bits share one, the first in its low bits. */
export const DATA_TYPE_BYTES: Readonly<Record<DataType, number>> = {
  float32: 4,
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  int32: 4,
  int64: 8,
  bool: 1,
  float16: 2,
  float64: 8,
  bfloat16: 2,
  uint4: 0.5,
  int4: 0.5,
};

/** `AttributeProto.AttributeType`. */
export const ATTRIBUTE_TYPES = { float: 1, int: 2, string: 3, tensor: 4, floats: 6, ints: 7 } as const;

/** The element type of a number in a file; null for one that is not read: text, complex numbers, floats of 8 bits and fewer. */
export function dataTypeOf(id: number | undefined): DataType | null {
  return BY_ID.get(id ?? 0) ?? null;
}

const BY_ID = new Map<number, DataType>(Object.entries(DATA_TYPES).map(([name, id]) => [id, name as DataType]));

/** `TensorProto.DataLocation`: the bytes are in another file. */
export const EXTERNAL = 1;
