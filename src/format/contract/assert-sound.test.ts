import { describe, expect, it } from "vitest";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { assertSound } from "./assert-sound.js";

describe("assertSound", () => {
  // Codes that begin anywhere in their buffer, and as many as are no multiple of four.
  it.each([2, 3, 4, 7, 8])("finds one code of too many bits wherever it stands, at %i bits", (bits) => {
    for (const offset of [0, 1, 4]) {
      const codes = new Uint8Array(new ArrayBuffer(20), offset, 11).fill(2 ** bits - 1);
      const weight: QuantizedWeight = {
        ...{ bits, rows: 1, columns: 11, groupSize: 11, perChannel: true, symmetric: false },
        ...{ codes, scales: Float32Array.of(0.5), zeroPoints: Uint8Array.of(0) },
      };
      expect(() => assertSound(weight, "w")).not.toThrow();
      for (let i = 0; bits < 8 && i < codes.length; i++) {
        codes[i] = 2 ** bits;
        expect(() => assertSound(weight, "w")).toThrow(`code ${2 ** bits} does not fit ${bits} bits`);
        codes[i] = 0;
      }
    }
  });
});
