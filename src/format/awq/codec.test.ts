import { describe, expect, it } from "vitest";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import { decodeWeight } from "./decode.js";
import { encodePart } from "./encode.js";
import { partsOf } from "./layout.js";

/** 16 outputs of 2 inputs, one group: output r has the code r, and 15 - r of the second input. */
const weight: QuantizedWeight = {
  ...{ bits: 4, rows: 16, columns: 2, groupSize: 2, perChannel: true, symmetric: false },
  codes: Uint8Array.from({ length: 32 }, (_, i) => (i % 2 === 0 ? i / 2 : 15 - (i - 1) / 2)),
  scales: Float32Array.from({ length: 16 }, (_, row) => row + 1),
  zeroPoints: Uint8Array.from({ length: 16 }, (_, row) => row),
};

const words = (bytes: Uint8Array): string[] =>
  Array.from(new Uint32Array(bytes.buffer), (word) => word.toString(16).padStart(8, "0"));

describe("AWQ", () => {
  // AutoAWQ's order of the outputs in a word, written out: the highest nibble is output 7, the lowest output 0.
  it("packs eight outputs into a word, even ones below odd ones", () => {
    expect(words(encodePart(weight, "qweight"))).toEqual(["75316420", "fdb9eca8", "8ace9bdf", "02461357"]);
    expect(words(encodePart(weight, "qzeros"))).toEqual(["75316420", "fdb9eca8"]);
  });

  it("stores scales by group, and shapes with the inputs first", () => {
    expect([...new Uint16Array(encodePart(weight, "scales").buffer)].slice(0, 3)).toEqual([0x3c00, 0x4000, 0x4200]);
    expect(partsOf(weight).map(({ part, dtype, shape }) => [part, dtype, ...shape])).toEqual([
      ["qweight", "I32", 2, 2],
      ["qzeros", "I32", 1, 2],
      ["scales", "F16", 1, 16],
    ]);
  });

  it("decodes what others packed, with a scale type of their own", () => {
    const little = (values: readonly number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);
    const layout = { ...weight, codes: undefined, rows: 8, columns: 1, groupSize: 1 };
    const decoded = decodeWeight("layer", layout, {
      codes: { dtype: "I32", shape: [1, 1], bytes: little([0x75316420]) },
      zeroPoints: { dtype: "I32", shape: [1, 1], bytes: little([0xfdb9eca8]) },
      scales: { dtype: "F32", shape: [1, 8], bytes: new Uint8Array(new Float32Array(8).fill(0.5).buffer) },
    });
    expect([...decoded.codes]).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect([...decoded.zeroPoints]).toEqual([8, 9, 10, 11, 12, 13, 14, 15]);
    expect([...decoded.scales]).toEqual(new Array(8).fill(0.5));
  });

  it("refuses tensors of another type or shape, and scales that are no numbers", () => {
    const tensor = (part: "qweight" | "qzeros" | "scales") => {
      const layout = partsOf(weight).find((each) => each.part === part);
      if (layout === undefined) throw new Error(part);
      return { dtype: layout.dtype, shape: layout.shape, bytes: encodePart(weight, part) };
    };
    const stored = { codes: tensor("qweight"), zeroPoints: tensor("qzeros"), scales: tensor("scales") };
    expect(decodeWeight("layer", weight, stored)).toEqual(weight);
    const read = (change: Partial<typeof stored>) => () => decodeWeight("layer", weight, { ...stored, ...change });
    expect(read({ codes: { ...stored.codes, shape: [4, 1] } })).toThrow(/layer\.qweight: I32 \[4, 1\] where.*\[2, 2\]/);
    expect(read({ zeroPoints: { ...stored.zeroPoints, dtype: "F32" } })).toThrow(/layer\.qzeros: F32/);
    const infinite = { ...stored.scales, bytes: new Uint8Array(new Uint16Array(16).fill(0x7c00).buffer) };
    expect(read({ scales: infinite })).toThrow(/layer\.scales: a scale is no finite number.*Next: export/);
  });
});
