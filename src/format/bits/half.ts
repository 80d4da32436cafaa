/** Sixteen-bit floats by their bit patterns, because Node 20 has no `Float16Array`. */

const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

function floatBits(value: number): number {
  float[0] = value;
  return word[0] ?? 0;
}

function bitsToFloat(bits: number): number {
  word[0] = bits;
  return float[0] ?? 0;
}

/** Bits of the fp16 nearest to the fp32 value of `value` (ties to even); overflow gives infinity, NaN stays NaN. */
export function toHalfBits(value: number): number {
  const bits = floatBits(value);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  // 65520 lies halfway between the largest fp16 and the next power step: from there on it rounds to infinity.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Below 2^-14 an fp16 is a multiple of 2^-24: adding 0.5 in fp32 rounds to exactly that grid.
    return sign | (floatBits(bitsToFloat(magnitude) + 0.5) - 0x3f000000);
  }
  const roundToEven = 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((magnitude - 0x38000000 + roundToEven) >>> 13);
}

/** The value of an fp16 bit pattern, exactly. */
export function fromHalfBits(bits: number): number {
  const sign = (bits & 0x8000) << 16;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return bitsToFloat(sign | 0x7f800000 | (fraction << 13));
  if (exponent !== 0) return bitsToFloat(sign | ((exponent + 112) << 23) | (fraction << 13));
  return (sign === 0 ? fraction : -fraction) * 2 ** -24;
}

/** `value` rounded to the nearest fp16. */
export function roundToHalf(value: number): number {
  return fromHalfBits(toHalfBits(value));
}

/** Bits of the bfloat16 nearest to the fp32 value of `value` (ties to even); NaN stays NaN. */
export function toBfloat16Bits(value: number): number {
  const bits = floatBits(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** The value of a bfloat16 bit pattern, exactly. */
export function fromBfloat16Bits(bits: number): number {
  return bitsToFloat(bits << 16);
}

/** `value` rounded to the nearest bfloat16. */
export function roundToBfloat16(value: number): number {
  return fromBfloat16Bits(toBfloat16Bits(value));
}
