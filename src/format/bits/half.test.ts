import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromBfloat16Bits, fromHalfBits, roundToHalf, toBfloat16Bits, toHalfBits } from "./half.js";

describe("fp16", () => {
  it("gives every bit pattern back", () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      const value = fromHalfBits(bits);
      if (Number.isNaN(value)) expect(toHalfBits(value) & 0x7e00).toBe(0x7e00);
      else if (toHalfBits(value) !== bits) expect.fail(`${bits.toString(16)} became ${toHalfBits(value).toString(16)}`);
    }
  });

  it("knows the corner values of IEEE 754 binary16", () => {
    expect([1, -2, 65504, 65519.99, 65520, 2 ** -14, 2 ** -24, 2 ** -25, 0, -0].map(toHalfBits)).toEqual([
      0x3c00, 0xc000, 0x7bff, 0x7bff, 0x7c00, 0x0400, 0x0001, 0x0000, 0x0000, 0x8000,
    ]);
  });

  it("rounds halfway cases to even", () => {
    expect(toHalfBits(1 + 2 ** -11)).toBe(0x3c00);
    expect(toHalfBits(1 + 3 * 2 ** -11)).toBe(0x3c02);
    expect(toHalfBits(3 * 2 ** -25)).toBe(0x0002);
  });

  it("is never further than its two neighbours", () => {
    fc.assert(
      fc.property(fc.float({ min: -65504, max: 65504, noNaN: true }), (value) => {
        const bits = toHalfBits(value);
        const error = Math.abs(fromHalfBits(bits) - value);
        for (const neighbour of [bits - 1, bits + 1]) {
          if (neighbour < 0 || (neighbour & 0x7fff) > 0x7bff) continue;
          expect(error).toBeLessThanOrEqual(Math.abs(fromHalfBits(neighbour) - value));
        }
        expect(roundToHalf(roundToHalf(value))).toBe(roundToHalf(value));
      }),
    );
  });
});

describe("bfloat16", () => {
  it("gives every bit pattern back", () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      const value = fromBfloat16Bits(bits);
      if (Number.isNaN(value)) expect(Number.isNaN(fromBfloat16Bits(toBfloat16Bits(value)))).toBe(true);
      else if (toBfloat16Bits(value) !== bits) expect.fail(`${bits.toString(16)} changed`);
    }
  });

  it("rounds halfway cases to even and overflows to infinity", () => {
    expect([1 + 2 ** -8, 1 + 3 * 2 ** -8, 3.4e38].map(toBfloat16Bits)).toEqual([0x3f80, 0x3f82, 0x7f80]);
  });
});
