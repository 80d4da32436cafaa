/** The 256 numbers of an eight-bit float, by their bit patterns: OCP 8-bit floating point specification, revision 1.0. */
export const fp8Values = {
  /** Four bits of exponent, three of fraction, no infinities. */
  F8_E4M3: table(4, 3, false),
  /** Five bits of exponent, two of fraction. */
  F8_E5M2: table(5, 2, true),
} as const;

/** Powers of two by their biased exponents, 255 for none: OCP microscaling formats, version 1.0, section 5.4.1. */
export const e8m0Values: Float32Array = Float32Array.from({ length: 256 }, (_, bits) =>
  bits === 255 ? Number.NaN : 2 ** (bits - 127),
);

/** The 16 numbers of four bits, the highest of which is the sign: the same, section 5.3.3. */
export const fp4Values: Float32Array = Float32Array.from([
  ...[0, 0.5, 1, 1.5, 2, 3, 4, 6],
  ...[-0, -0.5, -1, -1.5, -2, -3, -4, -6],
]);

function table(exponentBits: number, fractionBits: number, infinite: boolean): Float32Array {
  const [bias, fractions] = [2 ** (exponentBits - 1) - 1, 2 ** fractionBits];
  const highest = 2 ** exponentBits - 1;
  return Float32Array.from({ length: 256 }, (_, bits) => {
    const sign = bits >= 128 ? -1 : 1;
    const exponent = (bits & 127) >> fractionBits;
    const fraction = bits & (fractions - 1);
    if (infinite && exponent === highest) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    if (!infinite && exponent === highest && fraction === fractions - 1) return Number.NaN;
    if (exponent === 0) return sign * fraction * 2 ** (1 - bias - fractionBits);
    return sign * (1 + fraction / fractions) * 2 ** (exponent - bias);
  });
}
