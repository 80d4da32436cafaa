import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { packBits, wordsFor } from "./pack-bits.js";
import { unpackBits } from "./unpack-bits.js";

const along = { start: 0, stride: 1 };

function pack(codes: readonly number[], bits: number): string[] {
  const words = new Uint32Array(wordsFor(codes.length, bits));
  packBits(Uint8Array.from(codes), along, codes.length, bits, words, along);
  return Array.from(words, (word) => word.toString(16).padStart(8, "0").toUpperCase());
}

const counting = (count: number, modulo: number): number[] => Array.from({ length: count }, (_, i) => i % modulo);

describe("dense bit stream", () => {
  it("gives the golden words of the formats that use it", () => {
    expect(pack(counting(8, 8), 4)).toEqual(["76543210"]);
    expect(pack(counting(16, 4), 2)).toEqual(["E4E4E4E4"]);
    expect(pack(counting(32, 8), 3)).toEqual(["88FAC688", "C688FAC6", "FAC688FA"]);
    expect(pack(counting(4, 256), 8)).toEqual(["03020100"]);
  });

  it("puts code i at bit i * bits, as a big integer does", () => {
    fc.assert(
      fc.property(
        fc
          .integer({ min: 1, max: 8 })
          .chain((bits) =>
            fc.tuple(fc.constant(bits), fc.array(fc.nat(2 ** bits - 1), { minLength: 1, maxLength: 99 })),
          ),
        ([bits, codes]) => {
          let stream = 0n;
          codes.forEach((code, i) => {
            stream |= BigInt(code) << BigInt(i * bits);
          });
          const words = Array.from({ length: wordsFor(codes.length, bits) }, (_, i) =>
            ((stream >> BigInt(32 * i)) & 0xffffffffn).toString(16).padStart(8, "0").toUpperCase(),
          );
          expect(pack(codes, bits)).toEqual(words);
        },
      ),
    );
  });

  it("is undone where whole words are unpacked at once", () => {
    for (const bits of [2, 3, 4, 8]) {
      const codes = Uint8Array.from({ length: 77 }, (_, i) => (i * i * 5 + i) % 2 ** bits);
      const words = new Int32Array(wordsFor(codes.length, bits));
      packBits(codes, along, codes.length, bits, words, along);
      const back = new Uint8Array(codes.length);
      unpackBits(words, along, codes.length, bits, back, along);
      expect(back).toEqual(codes);
    }
  });

  it("is undone by reading each code at its bit, along any lanes", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 5 }),
        fc.uint8Array({ minLength: 1, maxLength: 70 }),
        (bits, codeStride, wordStride, bytes) => {
          const codes = bytes.map((byte) => byte % 2 ** bits);
          const spread = new Uint8Array(codes.length * codeStride + 2);
          codes.forEach((code, i) => {
            spread[2 + i * codeStride] = code;
          });
          const words = new Int32Array(wordsFor(codes.length, bits) * wordStride + 1);
          const from = { start: 2, stride: codeStride };
          const to = { start: 1, stride: wordStride };
          packBits(spread, from, codes.length, bits, words, to);
          const back = new Uint8Array(spread.length);
          unpackBits(words, to, codes.length, bits, back, from);
          expect(back).toEqual(spread);
        },
      ),
    );
  });
});
