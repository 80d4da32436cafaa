/**
 * Element types of the safetensors format with their width in bits, as in the reference implementation
 * (`huggingface/safetensors`, `Dtype`). F4 and F6 pack elements without padding: only tensors whose total is whole bytes exist.
 */
const bitsOf = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const;

export type SafetensorsDType = keyof typeof bitsOf;

export function isSafetensorsDType(name: string): name is SafetensorsDType {
  return Object.hasOwn(bitsOf, name);
}

/** All element types that are read and written, for messages. */
export const safetensorsDTypes: readonly string[] = Object.keys(bitsOf);

/** Bytes of a tensor, or null when that is no whole number or too large to be exact. */
export function byteLengthOf(dtype: SafetensorsDType, shape: readonly number[]): number | null {
  let bits: number = bitsOf[dtype];
  if (shape.includes(0)) return 0;
  for (const size of shape) {
    bits *= size;
    if (!Number.isSafeInteger(bits)) return null;
  }
  return bits % 8 === 0 ? bits / 8 : null;
}
