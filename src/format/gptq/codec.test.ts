import { describe, expect, it } from "vitest";
import { FormatError } from "../../errors.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import type { QuantizedLayout } from "../contract/export-source.js";
import type { StoredTensor } from "../source/stored-tensor.js";
import { decodeWeight } from "./decode.js";
import { encodePart } from "./encode.js";
import { assertHolds, type CheckpointFormat, partsOf, type WeightPart } from "./layout.js";

function weightOf(bits: number, rows: number, columns: number, fields: Partial<QuantizedWeight> = {}): QuantizedWeight {
  const groupSize = fields.groupSize ?? columns;
  const groups = rows * (columns / groupSize);
  return {
    bits,
    rows,
    columns,
    groupSize,
    perChannel: groupSize === columns,
    symmetric: true,
    codes: new Uint8Array(rows * columns),
    scales: new Float32Array(groups).fill(1),
    zeroPoints: new Uint8Array(groups).fill(2 ** (bits - 1)),
    ...fields,
  };
}

function words(bytes: Uint8Array): string[] {
  return Array.from(new Uint32Array(bytes.buffer), (word) => word.toString(16).padStart(8, "0").toUpperCase());
}

function stored(weight: QuantizedWeight, version: CheckpointFormat): (part: WeightPart) => StoredTensor {
  return (part) => {
    const layout = partsOf(weight).find((entry) => entry.part === part);
    if (layout === undefined) throw new Error(`no ${part}`);
    return { dtype: layout.dtype, shape: layout.shape, bytes: encodePart(weight, version, part) };
  };
}

function decode(
  layout: QuantizedLayout,
  version: CheckpointFormat,
  part: (part: WeightPart) => StoredTensor,
): QuantizedWeight {
  return decodeWeight("layer", layout, version, {
    codes: part("qweight"),
    zeroPoints: part("qzeros"),
    scales: part("scales"),
    groupIndex: part("g_idx"),
  });
}

describe("GPTQ", () => {
  it.each([
    [2, "gptq", ["55555555"]],
    [3, "gptq", ["DB6DB6DB", "B6DB6DB6", "6DB6DB6D"]],
    [4, "gptq", ["77777777"]],
    [8, "gptq", ["7F7F7F7F"]],
    [2, "gptq_v2", ["AAAAAAAA"]],
    [3, "gptq_v2", ["24924924", "49249249", "92492492"]],
    [4, "gptq_v2", ["88888888"]],
    [8, "gptq_v2", ["80808080"]],
  ] as const)("stores the symmetric zero of %i bits as %s does", (bits, version, expected) => {
    const rows = bits === 3 ? 32 : 32 / bits;
    expect(words(encodePart(weightOf(bits, rows, rows), version, "qzeros"))).toEqual(expected);
  });

  it("packs codes along the inputs, one stream per output", () => {
    const codes = Uint8Array.from({ length: 64 }, (_, i) => (i < 32 ? i % 8 : 7 - (i % 8)));
    const weight = weightOf(3, 2, 32, { codes });
    expect(partsOf(weight).find(({ part }) => part === "qweight")?.shape).toEqual([3, 2]);
    expect(words(encodePart(weight, "gptq", "qweight"))).toEqual([
      ...["88FAC688", "77053977"],
      ...["C688FAC6", "39770539"],
      ...["FAC688FA", "05397705"],
    ]);
  });

  it("stores scales and groups transposed", () => {
    const scales = Float32Array.of(1, 2, -3, 4);
    const weight = weightOf(8, 2, 4, {
      groupSize: 2,
      perChannel: false,
      scales,
      zeroPoints: new Uint8Array(4).fill(128),
    });
    const bytes = encodePart(weight, "gptq", "scales");
    expect([...new Uint16Array(bytes.buffer)]).toEqual([0x3c00, 0xc200, 0x4000, 0x4400]);
    expect([...new Int32Array(encodePart(weight, "gptq", "g_idx").buffer)]).toEqual([0, 0, 1, 1]);
  });

  it.each([
    [5, 32, 32, /no layout of 5 bits.*compressed-tensors/],
    [3, 64, 48, /multiples of 32.*compressed-tensors/],
    [4, 12, 64, /multiples of 8.*compressed-tensors/],
  ])("refuses %i bits in %i x %i and names the format that holds them", (bits, rows, columns, message) => {
    const hold = (): void => assertHolds("layer", weightOf(bits, rows, columns), null);
    expect(hold).toThrow(FormatError);
    expect(hold).toThrow(message);
  });

  it("refuses asymmetric version 1", () => {
    const weight = weightOf(4, 8, 8, { symmetric: false });
    expect(() => assertHolds("layer", weight, "gptq")).toThrow(/layer: .*Next: write gptq_v2/);
    expect(() => assertHolds("layer", weight, null)).not.toThrow();
  });

  it("refuses activation order, which no other format could hold", () => {
    const weight = weightOf(4, 8, 16, {
      groupSize: 8,
      perChannel: false,
      scales: new Float32Array(16).fill(1),
      zeroPoints: new Uint8Array(16).fill(8),
    });
    const part = stored(weight, "gptq");
    const shuffled = { ...part("g_idx"), bytes: part("g_idx").bytes.slice() };
    shuffled.bytes[0] = 1;
    const read = (): QuantizedWeight => decode(weight, "gptq", (name) => (name === "g_idx" ? shuffled : part(name)));
    expect(read).toThrow(/input 0 belongs to group 1.*desc_act/);
    expect(decode(weight, "gptq", part)).toEqual(weight);
  });

  it("refuses a zero point off the middle in a symmetric weight, and a wrong shape", () => {
    const weight = weightOf(4, 8, 8);
    const part = stored(weight, "gptq");
    const moved = { ...part("qzeros"), bytes: Uint8Array.of(0x78, 0x77, 0x77, 0x77) };
    expect(() => decode(weight, "gptq", (name) => (name === "qzeros" ? moved : part(name)))).toThrow(
      /layer\.qzeros: zero points off the middle.*Next: export/,
    );
    const flat = { ...part("scales"), shape: [8] };
    expect(() => decode(weight, "gptq", (name) => (name === "scales" ? flat : part(name)))).toThrow(
      /layer\.scales: F16 \[8\] where.*\[1, 8\]/,
    );
  });

  it("wraps a zero point of 0 in version 1 of other tools", () => {
    const weight = weightOf(4, 8, 8, { symmetric: false, zeroPoints: Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 15) });
    const part = stored(weight, "gptq");
    expect(words(part("qzeros").bytes)).toEqual(["E543210F"]);
    expect(decode(weight, "gptq", part).zeroPoints).toEqual(weight.zeroPoints);
  });
});
