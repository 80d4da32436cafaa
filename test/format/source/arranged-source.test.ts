import { describe, expect, it } from "vitest";
import { arrangedSource } from "../../../src/format/arranged-source.js";
import type { QuantizedWeight } from "../../../src/quant/quantized-weight.js";
import { memorySource } from "../memory-source.js";

const columns = 128;
/** Every code, scale and zero point tells where it comes from. */
const weight: QuantizedWeight = {
  ...{ bits: 8, groupSize: 64, perChannel: false, symmetric: false, rows: 2, columns },
  codes: Uint8Array.from({ length: 2 * columns }, (_, i) => i),
  scales: Float32Array.of(1, 2, 3, 4),
  zeroPoints: Uint8Array.of(10, 20, 30, 40),
};
const source = memorySource({
  folder: "",
  config: {},
  weights: new Map([["b.out", weight]]),
  plain: { "b.log": { shape: [4], values: [0, 1, 2, 3] } },
});

describe("a source as a file has it", () => {
  it("takes rows in the order that is asked for, with their scales and zero points", async () => {
    const turned = arrangedSource(
      source,
      new Map([["b.out turned.weight", { from: "b.out.weight", rows: Int32Array.of(1, 0, 1) }]]),
    );
    expect([...turned.linears.keys()]).toEqual(["b.out turned"]);
    const { rows, codes, scales, zeroPoints } = await turned.readQuantized("b.out turned");
    expect([rows, ...scales, ...zeroPoints]).toEqual([3, 3, 4, 1, 2, 3, 4, 30, 40, 10, 20, 30, 40]);
    expect([codes[0], codes[columns], codes[2 * columns]]).toEqual([128, 0, 128]);
  });

  it("takes columns in stretches, whose groups become as small as these", async () => {
    const stretch = 32;
    const order = [0, 2, 1, 3];
    const places = Int32Array.from(
      { length: columns },
      (_, i) => (order[Math.floor(i / stretch)] ?? 0) * stretch + (i % stretch),
    );
    const turned = arrangedSource(source, new Map([["x.weight", { from: "b.out.weight", columns: places }]]));
    const found = await turned.readQuantized("x");
    expect(turned.linears.get("x")?.groupSize).toBe(stretch);
    expect([...found.scales]).toEqual([1, 2, 1, 2, 3, 4, 3, 4]);
    expect([...found.codes.slice(0, columns)]).toEqual([...places]);
    const value = (of: QuantizedWeight, column: number): number =>
      (of.scales[Math.floor(column / of.groupSize)] ?? 0) *
      ((of.codes[column] ?? 0) - (of.zeroPoints[Math.floor(column / of.groupSize)] ?? 0));
    places.forEach((place, column) => {
      expect(value(found, column)).toBe(value(weight, place));
    });
  });

  it("refuses columns that change places within what a block of a file may hold", () => {
    const places = Int32Array.from({ length: columns }, (_, i) => (i < 32 ? (i + 16) % 32 : i));
    expect(() => arrangedSource(source, new Map([["x.weight", { from: "b.out.weight", columns: places }]]))).toThrow(
      /b\.out: the file has the columns.*in stretches of 16, and groups of 64.*Next: use --format compressed-tensors/,
    );
  });

  it("widens and converts plain values", async () => {
    const part = { from: "b.log", rows: Int32Array.of(3, 0), widened: true, convert: (value: number) => -value };
    const turned = arrangedSource(source, new Map([["b.log turned", part]]));
    expect(turned.plain.get("b.log turned")).toMatchObject({ dtype: "F32", shape: [2], byteLength: 8 });
    const bytes = await turned.readPlain("b.log turned");
    expect([...new Float32Array(bytes.slice().buffer)]).toEqual([-3, -0]);
    expect(turned.plain.has("b.log")).toBe(false);
  });
});
