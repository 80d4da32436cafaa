import { describe, expect, it } from "vitest";
import { FormatError } from "../../errors.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import type { StoredTensor } from "../source/stored-tensor.js";
import { decodeWeight } from "./decode.js";
import { encodePart } from "./encode.js";
import { partsOf, type StorageFormat } from "./layout.js";

function weightOf(
  fields: Partial<QuantizedWeight> & Pick<QuantizedWeight, "bits" | "rows" | "columns">,
): QuantizedWeight {
  const { rows, columns, bits } = fields;
  const groupSize = fields.groupSize ?? columns;
  return {
    groupSize,
    perChannel: true,
    symmetric: true,
    codes: new Uint8Array(rows * columns),
    scales: new Float32Array(rows * (columns / groupSize)).fill(1),
    zeroPoints: new Uint8Array(rows * (columns / groupSize)).fill(2 ** (bits - 1)),
    ...fields,
  };
}

function words(bytes: Uint8Array): string[] {
  return Array.from(new Uint32Array(bytes.buffer), (word) => word.toString(16).padStart(8, "0").toUpperCase());
}

function stored(weight: QuantizedWeight, storage: StorageFormat): Record<string, StoredTensor> {
  return Object.fromEntries(
    partsOf(weight, storage).map(({ part, dtype, shape }) => [
      part,
      { dtype, shape, bytes: encodePart(weight, storage, part) },
    ]),
  );
}

describe("compressed-tensors", () => {
  it("packs the signed codes of the specification to its golden words", () => {
    const codes = Uint8Array.from({ length: 32 }, (_, i) => i % 8);
    const weight = weightOf({ bits: 3, rows: 1, columns: 32, codes });
    expect(words(encodePart(weight, "pack-quantized", "weight_packed"))).toEqual(["88FAC688", "C688FAC6", "FAC688FA"]);
  });

  it("starts every row at a new word", () => {
    const weight = weightOf({ bits: 4, rows: 2, columns: 9, codes: new Uint8Array(18).fill(0xf) });
    const [packed] = partsOf(weight, "pack-quantized");
    expect(packed?.shape).toEqual([2, 2]);
    expect(words(encodePart(weight, "pack-quantized", "weight_packed"))).toEqual([
      "FFFFFFFF",
      "0000000F",
      "FFFFFFFF",
      "0000000F",
    ]);
  });

  it("packs zero points along the rows: signed -8, 0, 7 over three rows", () => {
    const zeroPoints = Uint8Array.of(0, 8, 15);
    const weight = weightOf({ bits: 4, rows: 3, columns: 2, symmetric: false, zeroPoints });
    expect(words(encodePart(weight, "pack-quantized", "weight_zero_point"))).toEqual(["00000F80"]);
  });

  it("writes scales as fp16, negative ones and subnormal ones exactly", () => {
    const scales = Float32Array.of(-0.5, 2 ** -16);
    const weight = weightOf({ bits: 4, rows: 2, columns: 2, scales });
    const bytes = encodePart(weight, "pack-quantized", "weight_scale");
    expect([...new Uint16Array(bytes.buffer)]).toEqual([0xb800, 0x0100]);
  });

  it("writes the shape as two 64-bit integers", () => {
    const weight = weightOf({ bits: 4, rows: 3, columns: 8 });
    const bytes = encodePart(weight, "pack-quantized", "weight_shape");
    expect([...new BigInt64Array(bytes.buffer)]).toEqual([3n, 8n]);
  });

  it("writes int8 codes around zero", () => {
    const weight = weightOf({ bits: 8, rows: 1, columns: 3, codes: Uint8Array.of(0, 128, 255) });
    expect([...new Int8Array(encodePart(weight, "int-quantized", "weight").buffer)]).toEqual([-128, 0, 127]);
    expect(partsOf(weight, "int-quantized").map(({ part }) => part)).toEqual(["weight", "weight_scale"]);
  });

  it("refuses tensors whose shape is not that of the layout, and says so", () => {
    const weight = weightOf({ bits: 3, rows: 2, columns: 32 });
    const parts = stored(weight, "pack-quantized");
    const codes = { ...(parts["weight_packed"] as StoredTensor), shape: [2, 4] };
    const decode = (): QuantizedWeight =>
      decodeWeight("layer", weight, "pack-quantized", {
        codes,
        scale: parts["weight_scale"] as StoredTensor,
        zeroPoint: null,
      });
    expect(decode).toThrow(FormatError);
    expect(decode).toThrow(/layer\.weight_packed: I32 \[2, 4\].*I32 \[2, 3\].*Next: export or download/);
  });

  it("refuses an int8 code that the width can't hold, a missing zero point and an infinite scale", () => {
    const layout = weightOf({ bits: 4, rows: 1, columns: 2 });
    const scale: StoredTensor = { dtype: "F16", shape: [1, 1], bytes: Uint8Array.of(0, 0x3c) };
    const codes: StoredTensor = { dtype: "I8", shape: [1, 2], bytes: Uint8Array.of(7, 8) };
    const good: StoredTensor = { ...codes, bytes: Uint8Array.of(7, 0xf8) };
    expect(() => decodeWeight("layer", layout, "int-quantized", { codes, scale, zeroPoint: null })).toThrow(
      /value 8 does not fit 4 bits/,
    );
    expect(() =>
      decodeWeight("layer", { ...layout, symmetric: false }, "int-quantized", { codes: good, scale, zeroPoint: null }),
    ).toThrow(/without its zero points/);
    const infinite = { ...scale, bytes: Uint8Array.of(0, 0x7c) };
    expect(() =>
      decodeWeight("layer", layout, "int-quantized", { codes: good, scale: infinite, zeroPoint: null }),
    ).toThrow(/no finite number/);
  });

  it("reads scales in bf16 and fp32, as other tools write them", () => {
    const layout = weightOf({ bits: 8, rows: 1, columns: 1 });
    const codes: StoredTensor = { dtype: "I8", shape: [1, 1], bytes: Uint8Array.of(1) };
    const bf16: StoredTensor = { dtype: "BF16", shape: [1, 1], bytes: Uint8Array.of(0x40, 0xbf) };
    const fp32: StoredTensor = {
      dtype: "F32",
      shape: [1, 1],
      bytes: new Uint8Array(Float32Array.of(0.1).buffer),
    };
    const scaleOf = (scale: StoredTensor): number | undefined =>
      decodeWeight("layer", layout, "int-quantized", { codes, scale, zeroPoint: null }).scales[0];
    expect(scaleOf(bf16)).toBe(-0.75);
    expect(scaleOf(fp32)).toBe(Math.fround(0.1));
  });
});
