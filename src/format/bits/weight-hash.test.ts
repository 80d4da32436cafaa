import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { smallWeight as weight } from "./testing/small-weight.js";
import { weightHash } from "./weight-hash.js";

describe("the hash of a weight", () => {
  it("is that of the signed codes and of the scales, little-endian", () => {
    const sha = (head: string, bytes: ArrayBuffer): string =>
      createHash("sha256").update(head).update(new Uint8Array(bytes)).digest("hex");
    expect(weightHash(weight)).toEqual({
      codes: sha("2 4\n", Int16Array.of(-1, 0, 0, 1, 12, 13, -1, 0).buffer),
      scales: sha("2 2\n", Float32Array.of(0.5, -0.25, 1, 2).buffer),
    });
  });

  it("is the same where four codes are taken at once", () => {
    const rows = 3;
    const columns = 16;
    const codes = Uint8Array.from({ length: rows * columns }, (_, i) => (i * 37 + 11) % 256);
    for (const groupSize of [4, 8, 16]) {
      const zeroPoints = Uint8Array.from({ length: (rows * columns) / groupSize }, (_, i) => (i * 83) % 256);
      const scales = new Float32Array(zeroPoints.length).fill(1);
      const signed = Int16Array.from(codes, (code, i) => code - (zeroPoints[Math.floor(i / groupSize)] ?? 0));
      const of = { ...weight, bits: 8, rows, columns, groupSize, codes, scales, zeroPoints };
      const expected = createHash("sha256").update("3 16\n").update(signed).digest("hex");
      expect(weightHash(of).codes).toBe(expected);
    }
  });

  it("tells codes and scales apart", () => {
    const original = weightHash(weight);
    const otherCode = weightHash({ ...weight, codes: weight.codes.with(3, 4) });
    expect(otherCode.codes).not.toBe(original.codes);
    expect(otherCode.scales).toBe(original.scales);
    const swapped = weightHash({ ...weight, scales: Float32Array.of(-0.25, 0.5, 1, 2) });
    expect(swapped.codes).toBe(original.codes);
    expect(swapped.scales).not.toBe(original.scales);
    const shifted = {
      codes: weight.codes.map((code) => code + 1),
      zeroPoints: weight.zeroPoints.map((zero) => zero + 1),
    };
    expect(weightHash({ ...weight, bits: 5, ...shifted })).toEqual(original);
  });
});
