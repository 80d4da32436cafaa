import { encodedFields, type RawField, rawFields } from "../../../checkpoint/onnx/raw-message.js";
import { DATA_TYPES, type DataType, EXTERNAL, TENSOR } from "../../../checkpoint/onnx/schema.js";

/** Where the bytes of a tensor are: in its message, or in a data file. */
export type TensorPlace = { readonly bytes: Uint8Array } | { readonly location: string; readonly offset: number };

const { floatData, int32Data, int64Data, rawData, doubleData, externalData, dataLocation } = TENSOR;
/** Fields that hold the numbers, strings (6) and unsigned integers (11) among them. */
const NUMBERS: ReadonlySet<number> = new Set([
  ...[floatData, int32Data, int64Data, rawData, doubleData, externalData, dataLocation].map(({ number }) => number),
  ...[6, 11],
]);

/** A tensor's message, made anew. */
export function tensorMessage(
  name: string,
  type: DataType,
  dimensions: readonly number[],
  byteLength: number,
  place: TensorPlace,
): readonly Uint8Array[] {
  return [encodedFields(TENSOR, { shape: dimensions, dataType: DATA_TYPES[type], name }), ...placed(byteLength, place)];
}

/** A stored tensor with its numbers elsewhere, or others in their place; all else of its message stays. */
export function movedTensor(
  content: Uint8Array,
  byteLength: number,
  place: TensorPlace,
  where: string,
): readonly Uint8Array[] {
  const kept = rawFields(content, where).filter(({ number }: RawField) => !NUMBERS.has(number));
  return [...kept.map(({ bytes }) => bytes), ...placed(byteLength, place)];
}

function placed(byteLength: number, place: TensorPlace): readonly Uint8Array[] {
  if ("bytes" in place) return [encodedFields(TENSOR, { rawData: place.bytes })];
  const entries = { location: place.location, offset: String(place.offset), length: String(byteLength) };
  return [
    encodedFields(TENSOR, {
      externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
      dataLocation: EXTERNAL,
    }),
  ];
}
