import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { QuantizedWeight } from "../quant/quantized-weight.js";
import { weightHash } from "./weight-hash.js";

const weight: QuantizedWeight = {
  bits: 4,
  groupSize: 2,
  perChannel: false,
  symmetric: false,
  rows: 2,
  columns: 4,
  codes: Uint8Array.of(0, 1, 2, 3, 12, 13, 14, 15),
  scales: Float32Array.of(0.5, -0.25, 1, 2),
  zeroPoints: Uint8Array.of(1, 2, 0, 15),
};

describe("the hash of a weight", () => {
  it("is that of the signed codes and of the scales, little-endian", () => {
    const sha = (head: string, bytes: ArrayBuffer): string =>
      createHash("sha256").update(head).update(new Uint8Array(bytes)).digest("hex");
    expect(weightHash(weight)).toEqual({
      codes: sha("2 4\n", Int16Array.of(-1, 0, 0, 1, 12, 13, -1, 0).buffer),
      scales: sha("2 2\n", Float32Array.of(0.5, -0.25, 1, 2).buffer),
    });
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
