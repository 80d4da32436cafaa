import { describe, expect, it } from "vitest";
import { FormatError } from "../../errors.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import type { QuantizedLayout } from "../contract/export-source.js";
import { decodeWeight, dequantize } from "./decode.js";
import { encodeRows } from "./encode.js";
import { containerOf } from "./layout.js";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

function layoutOf(
  bits: number,
  groupSize: number | null,
  columns: number,
  symmetric = true,
  rows = 2,
): QuantizedLayout {
  return { bits, groupSize: groupSize ?? columns, perChannel: groupSize === null, symmetric, rows, columns };
}

/** One row that counts up. */
function counting(
  bits: number,
  columns: number,
  zeroPoints: readonly number[],
  scales: readonly number[],
): QuantizedWeight {
  return {
    ...layoutOf(
      bits,
      columns / scales.length,
      columns,
      zeroPoints.every((zero) => zero === 2 ** (bits - 1)),
      1,
    ),
    codes: Uint8Array.from({ length: columns }, (_, i) => i % 2 ** bits),
    scales: Float32Array.from(scales),
    zeroPoints: Uint8Array.from(zeroPoints),
  };
}

describe("the container of a scheme", () => {
  it.each([
    ["W4 g32", layoutOf(4, 32, 256), { bits: 4, blockSize: 32, blocks: 8, zeroPoints: false }],
    ["W4 g64 asym", layoutOf(4, 64, 256, false), { bits: 4, blockSize: 64, blocks: 4, zeroPoints: true }],
    [
      "W2 g256: the scale is repeated",
      layoutOf(2, 256, 512),
      { bits: 2, blockSize: 128, blocks: 4, zeroPoints: false },
    ],
    ["W4 g48: in thirds", layoutOf(4, 48, 96), { bits: 4, blockSize: 16, blocks: 6, zeroPoints: false }],
    [
      "W3 in 4 bits, with its zero point",
      layoutOf(3, 64, 256),
      { bits: 4, blockSize: 64, blocks: 4, zeroPoints: true },
    ],
    ["W5 in 8 bits", layoutOf(5, 32, 64), { bits: 8, blockSize: 32, blocks: 2, zeroPoints: true }],
    ["W8 per row", layoutOf(8, null, 768), { bits: 8, blockSize: 128, blocks: 6, zeroPoints: false }],
    ["W4 per row of 100: padded", layoutOf(4, null, 100), { bits: 4, blockSize: 128, blocks: 1, zeroPoints: false }],
    [
      "W4 per row of 130: the least padding",
      layoutOf(4, null, 130),
      { bits: 4, blockSize: 32, blocks: 5, zeroPoints: false },
    ],
    ["a group of 8 that is the row", layoutOf(4, 8, 8), { bits: 4, blockSize: 16, blocks: 1, zeroPoints: false }],
  ])("%s", (_, layout, container) => {
    expect(containerOf(layout)).toEqual(container);
  });

  it.each([
    [layoutOf(4, 8, 256), /^layer: .*groups of 8.*Next: quantize with W4A16g16/],
    [layoutOf(2, 24, 96), /groups of 24.*W2A16g32/],
    [layoutOf(4, 20, 100), /groups of 20.*one group per row/],
  ])("refuses groups without a block", (layout, message) => {
    expect(() => containerOf(layout, "layer")).toThrow(FormatError);
    expect(() => containerOf(layout, "layer")).toThrow(message);
  });
});

describe("stored bytes", () => {
  it.each([
    [2, "e4e4e4e4"],
    [4, "1032547698badcfe"],
    [8, "000102030405060708090a0b0c0d0e0f"],
  ] as const)("%i bits: the lowest first", (bits, expected) => {
    const weight = counting(bits, 16, [2 ** (bits - 1)], [1]);
    expect(hex(encodeRows(weight, containerOf(weight), "codes", 0, 1))).toBe(expected);
  });

  it("packs zero points like codes, each row from a byte of its own, and pads with zeros that count for nothing", () => {
    const weight = counting(4, 48, [1, 2, 3], [1, -2, 0.5]);
    const container = containerOf(weight);
    expect(hex(encodeRows(weight, container, "zeroPoints", 0, 1))).toBe("2103");
    expect(hex(encodeRows(weight, container, "scales", 0, 1))).toBe("003c00c00038");
    const ragged = { ...counting(4, 18, [8], [1]) };
    const codes = encodeRows(ragged, { bits: 4, blockSize: 16, blocks: 2, zeroPoints: false }, "codes", 0, 1);
    expect(hex(codes)).toBe("1032547698badcfe1088888888888888");
  });

  it("is decoded by the specification", () => {
    const stored = {
      codes: Buffer.from("e4e4e4e41b1b1b1b", "hex"),
      scales: Buffer.from("003c00b8", "hex"),
      zeroPoints: Buffer.from("09", "hex"),
    };
    const weight = decodeWeight("layer", { rows: 1, columns: 20, bits: 2, blockSize: 16 }, stored);
    expect([...weight.codes]).toEqual([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 3, 2, 1, 0]);
    expect([...weight.scales]).toEqual([1, -0.5]);
    expect([...weight.zeroPoints]).toEqual([1, 2]);
    expect([...dequantize(weight)].slice(14)).toEqual([1, 2, -0.5, -0, 0.5, 1]);
    const { zeroPoints } = decodeWeight("layer", weight, { ...stored, zeroPoints: null });
    expect([...zeroPoints]).toEqual([2, 2]);
  });

  it.each([
    ["codes", { codes: new Uint8Array(7) }, /7 bytes of codes where the node asks for 8/],
    ["scales", { scales: new Uint8Array(6) }, /6 bytes of scales/],
    ["zero points", { zeroPoints: new Uint8Array(2) }, /2 bytes of zero points/],
    ["a scale", { scales: Uint8Array.of(0, 0x7c, 0, 0) }, /no finite number/],
  ])("refuses damaged %s", (_, damage, message) => {
    const stored = { codes: new Uint8Array(8), scales: new Uint8Array(4), zeroPoints: new Uint8Array(1) };
    const decode = (): unknown =>
      decodeWeight("layer", { rows: 1, columns: 20, bits: 2, blockSize: 16 }, { ...stored, ...damage });
    expect(decode).toThrow(FormatError);
    expect(decode).toThrow(message);
  });
});
