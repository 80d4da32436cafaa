import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CrossblockError } from "../../../errors.js";
import type { QuantizedWeight } from "../../../quant/quantized-weight.js";
import { roundToHalf } from "../../bits/half.js";
import { byteLengthOf, type QuantizedType } from "../file/layout.js";
import { decodeBlocks, dequantize, unpackQ3Scale, unpackQ4Scale } from "./decode.js";
import { rowEncoder } from "./encode.js";
import { exactType, exactTypes } from "./exact-type.js";
import { newBlockFields, PACKERS, packQ3Scales, packQ4Scales } from "./pack.js";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** A random weight: all codes, scales of both signs from 1e-5 to 100, zero points over the whole range. */
function weights(layout: Pick<QuantizedWeight, "bits" | "groupSize" | "symmetric">): fc.Arbitrary<QuantizedWeight> {
  const { bits, groupSize, symmetric } = layout;
  const limit = 2 ** bits;
  return fc
    .record({ rows: fc.integer({ min: 1, max: 5 }), groups: fc.integer({ min: 1, max: 3 }), seed: fc.integer() })
    .map(({ rows, groups, seed }) => {
      let state = seed | 0;
      const random = (): number => {
        state = (Math.imul(state, 1664525) + 1013904223) | 0;
        return (state >>> 8) / 2 ** 24;
      };
      const columns = groups * groupSize;
      const scale = (): number => roundToHalf((random() < 0.5 ? -1 : 1) * 10 ** (random() * 7 - 5)) || 1e-5;
      return {
        ...layout,
        perChannel: groups === 1,
        rows,
        columns,
        codes: Uint8Array.from({ length: rows * columns }, () => Math.floor(random() * limit)),
        scales: Float32Array.from({ length: rows * groups }, scale),
        zeroPoints: Uint8Array.from({ length: rows * groups }, () =>
          symmetric ? limit / 2 : Math.floor(random() * limit),
        ),
      };
    });
}

function encode(weight: QuantizedWeight, type: QuantizedType): Uint8Array {
  const rowBytes = byteLengthOf(type, weight.columns);
  const bytes = new Uint8Array(weight.rows * rowBytes);
  const write = rowEncoder(weight, type, "w");
  for (let row = 0; row < weight.rows; row++) write(row, bytes, row * rowBytes);
  return bytes;
}

/** scale * (code - zeroPoint) of element e: one exact product of an fp16 and a small integer. */
function expectedValue(weight: QuantizedWeight, e: number): number {
  const group = Math.floor(e / weight.groupSize);
  return (weight.scales[group] ?? 0) * ((weight.codes[e] ?? 0) - (weight.zeroPoints[group] ?? 0));
}

const schemes: readonly [number, boolean, number, QuantizedType][] = [
  [2, true, 256, "TQ2_0"],
  [2, true, 64, "Q2_0"],
  [2, true, 128, "Q2_0"],
  [2, true, 32, "Q4_0"],
  [2, false, 256, "Q2_K"],
  [2, false, 64, "Q4_0"],
  [3, true, 256, "Q3_K"],
  [3, true, 64, "Q4_0"],
  [3, false, 128, "Q4_0"],
  [4, true, 32, "Q4_0"],
  [4, true, 96, "Q4_0"],
  [4, false, 256, "Q4_K"],
  [4, false, 512, "Q4_K"],
  [5, true, 32, "Q8_0"],
  [6, false, 64, "Q8_0"],
  [7, false, 32, "Q8_0"],
  [8, true, 32, "Q8_0"],
  [8, true, 160, "Q8_0"],
];

describe("exact types", () => {
  it.each(schemes)("W%i symmetric=%s g%i is %s, value for value", (bits, symmetric, groupSize, type) => {
    fc.assert(
      fc.property(weights({ bits, groupSize, symmetric }), (weight) => {
        expect(exactType(weight)).toMatchObject({ type, fidelity: "exact" });
        for (const choice of exactTypes(weight)) {
          if (choice.fidelity !== "exact") continue;
          const values = dequantize(choice.type, encode(weight, choice.type));
          for (let e = 0; e < values.length; e++) {
            if (values[e] !== expectedValue(weight, e) && !(values[e] === 0 && expectedValue(weight, e) === 0)) {
              expect.fail(`${choice.type} element ${e}: ${values[e]} instead of ${expectedValue(weight, e)}`);
            }
          }
        }
      }),
      { numRuns: 20 },
    );
  });

  it("W4 asymmetric g32 is Q4_1: codes and scales as they are, the minimum rounded to fp16", () => {
    fc.assert(
      fc.property(weights({ bits: 4, groupSize: 32, symmetric: false }), (weight) => {
        expect(exactType(weight)).toMatchObject({ type: "Q4_1", fidelity: "minimum", wider: false });
        const { integers, scales, minimums } = decodeBlocks("Q4_1", encode(weight, "Q4_1"));
        expect([...integers]).toEqual([...weight.codes]);
        expect(scales).toEqual(weight.scales);
        minimums.forEach((minimum, g) => {
          expect(minimum).toBeCloseTo(roundToHalf((weight.scales[g] ?? 0) * (weight.zeroPoints[g] ?? 0)), 12);
        });
      }),
      { numRuns: 20 },
    );
  });

  it.each([
    [{ bits: 8, symmetric: false, groupSize: 64, columns: 128 }, /W8A16g64 symmetric, which is Q8_0/],
    [{ bits: 4, symmetric: true, groupSize: 16, columns: 128 }, /W4A16g32 symmetric, which is Q4_0/],
    [{ bits: 2, symmetric: false, groupSize: 48, columns: 96 }, /W2A16g32 asymmetric, which is Q4_0/],
    [{ bits: 4, symmetric: true, groupSize: 40, columns: 40 }, /leave this layer unquantized/],
  ])("refuses %j and names the nearest scheme", (layout, message) => {
    const full = { ...layout, perChannel: false, rows: 4 };
    expect(exactTypes(full)).toEqual([]);
    expect(() => exactType(full, "model.layers.0.mlp.up_proj")).toThrow(message);
    try {
      exactType(full, "model.layers.0.mlp.up_proj");
    } catch (error) {
      expect(error).toBeInstanceOf(CrossblockError);
      expect(error).toMatchObject({ where: "model.layers.0.mlp.up_proj" });
    }
  });

  it("refuses damaged weights by name", () => {
    const [good] = fc.sample(weights({ bits: 4, groupSize: 32, symmetric: true }), 1);
    if (good === undefined) throw new Error("no sample");
    const damaged: readonly [Partial<QuantizedWeight>, RegExp][] = [
      [{ codes: Uint8Array.from(good.codes, () => 16) }, /code 16 does not fit 4 bits/],
      [{ codes: good.codes.subarray(1) }, /codes for/],
      [{ scales: good.scales.map(() => 1 + 2 ** -20) }, /not an fp16 number/],
      [{ zeroPoints: good.zeroPoints.map(() => 7) }, /zero point 7/],
    ];
    for (const [change, message] of damaged) {
      expect(() => rowEncoder({ ...good, ...change }, "Q4_0", "layer7")).toThrow(message);
      expect(() => rowEncoder({ ...good, ...change }, "Q4_0", "layer7")).toThrow(/^layer7: .*Next: /);
    }
  });
});

describe("golden blocks", () => {
  it("Q4_0: d = 1, bytes j | (15 - j) << 4 are -8..7 and 7..-8", () => {
    const bytes = Uint8Array.from([0, 0x3c, ...Array.from({ length: 16 }, (_, j) => j | ((15 - j) << 4))]);
    const expected = [...Array.from({ length: 16 }, (_, j) => j - 8), ...Array.from({ length: 16 }, (_, j) => 7 - j)];
    expect([...dequantize("Q4_0", bytes)]).toEqual(expected);
    const fields = newBlockFields();
    fields.codes.set(expected.map((value) => value + 8));
    fields.scale = 0x3c00;
    const packed = new Uint8Array(18);
    PACKERS.Q4_0(fields, packed, 0);
    expect(hex(packed)).toBe(hex(bytes));
  });

  it("Q4_K scales", () => {
    const scales = Uint8Array.from([1, 2, 3, 4, 33, 34, 35, 36]);
    const minimums = Uint8Array.from([5, 6, 7, 8, 49, 50, 51, 52]);
    const packed = new Uint8Array(12);
    packQ4Scales(scales, minimums, packed, 0);
    expect(hex(packed)).toBe("81828384c5c6c7c811223344");
    const view = new DataView(packed.buffer);
    scales.forEach((scale, i) => {
      expect(unpackQ4Scale(view, 0, i)).toEqual({ scale, minimum: minimums[i] });
    });
  });

  it("Q3_K scales", () => {
    const scales = Uint8Array.from({ length: 16 }, (_, i) => 1 + 4 * i);
    const packed = new Uint8Array(12);
    packQ3Scales(scales, packed, 0);
    expect(hex(packed)).toBe("115599dd115599dde4e4e4e4");
    const view = new DataView(packed.buffer);
    scales.forEach((scale, i) => {
      expect(unpackQ3Scale(view, 0, i)).toBe(scale);
    });
  });

  it("TQ2_0 decodes the fourth code as +2d, and d comes last", () => {
    const bytes = new Uint8Array(66).fill(0xe4, 0, 64);
    bytes.set([0, 0x3c], 64);
    const values = dequantize("TQ2_0", bytes);
    expect([values[0], values[32], values[64], values[96], values[128]]).toEqual([-1, 0, 1, 2, -1]);
  });
});

describe("random blocks", () => {
  const types = ["Q4_0", "Q4_1", "Q8_0", "Q2_0", "TQ2_0", "Q2_K", "Q3_K", "Q4_K"] as const;
  const widths = { Q4_0: 4, Q4_1: 4, Q8_0: 8, Q2_0: 2, TQ2_0: 2, Q2_K: 2, Q3_K: 3, Q4_K: 4 } as const;
  const offsets = { Q4_0: 8, Q4_1: 0, Q8_0: 0, Q2_0: 1, TQ2_0: 1, Q2_K: 0, Q3_K: 4, Q4_K: 0 } as const;
  const elements = { Q4_0: 32, Q4_1: 32, Q8_0: 32, Q2_0: 64, TQ2_0: 256, Q2_K: 256, Q3_K: 256, Q4_K: 256 } as const;

  it.each(types)("%s: what is packed is what is decoded, fields and all", (type) => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 256, maxLength: 256 }),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        (random, more) => {
          const fields = newBlockFields();
          const subBits = type === "Q2_K" ? 4 : 6;
          fields.codes.set(random.map((byte) => byte % 2 ** widths[type]));
          fields.subScales.set(more.subarray(0, 16).map((byte) => byte % 2 ** subBits));
          fields.subMinimums.set(more.subarray(16).map((byte) => byte % 2 ** subBits));
          fields.scale = 0x3c00;
          fields.minimum = 0x3c00;
          const bytes = new Uint8Array(byteLengthOf(type, elements[type]));
          PACKERS[type](fields, bytes, 0);
          const { integers, scales, minimums } = decodeBlocks(type, bytes);
          const signed = (code: number): number => (type === "Q8_0" ? (code << 24) >> 24 : code - offsets[type]);
          expect([...integers]).toEqual([...fields.codes.subarray(0, elements[type])].map(signed));
          if (type.endsWith("_K")) {
            const shift = type === "Q3_K" ? 32 : 0;
            expect([...scales]).toEqual([...fields.subScales.subarray(0, scales.length)].map((s) => s - shift));
          }
          if (type === "Q2_K" || type === "Q4_K") {
            expect([...minimums]).toEqual([...fields.subMinimums.subarray(0, minimums.length)]);
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it("refuses part of a block and types without a decoder", () => {
    expect(() => dequantize("Q4_0", new Uint8Array(17))).toThrow(/not a whole number of Q4_0 blocks.*Next: /);
    expect(() => dequantize("IQ4_XS", new Uint8Array(136))).toThrow(/no decoder for tensor type IQ4_XS.*Next: /);
  });
});
