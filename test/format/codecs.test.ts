import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeWeight, type StoredTensor } from "../../src/format/compressed-tensors/decode.js";
import { encodePart } from "../../src/format/compressed-tensors/encode.js";
import { partsOf, type StorageFormat, type WeightPart } from "../../src/format/compressed-tensors/layout.js";
import type { QuantizedWeight } from "../../src/quant/quantized-weight.js";
import { arbitraryWeight } from "./arbitrary-weight.js";

function throughCompressedTensors(weight: QuantizedWeight, storage: StorageFormat): QuantizedWeight {
  const stored = new Map<WeightPart, StoredTensor>();
  for (const { part, dtype, shape, byteLength } of partsOf(weight, storage)) {
    const bytes = encodePart(weight, storage, part);
    expect(bytes.byteLength, part).toBe(byteLength);
    stored.set(part, { dtype, shape, bytes });
  }
  const part = (name: WeightPart): StoredTensor => {
    const tensor = stored.get(name);
    if (tensor === undefined) throw new Error(`${name} was not written`);
    return tensor;
  };
  return decodeWeight("layer", weight, storage, {
    codes: part(storage === "pack-quantized" ? "weight_packed" : "weight"),
    scale: part("weight_scale"),
    zeroPoint: weight.symmetric ? null : part("weight_zero_point"),
  });
}

describe("encode then decode is the identity", () => {
  it.each(["pack-quantized", "int-quantized"] as const)("compressed-tensors, %s", (storage) => {
    fc.assert(
      fc.property(arbitraryWeight({ bits: [2, 3, 4, 5, 6, 7, 8] }), (weight) => {
        expect(throughCompressedTensors(weight, storage)).toEqual(weight);
      }),
      { numRuns: 300 },
    );
  });
});
