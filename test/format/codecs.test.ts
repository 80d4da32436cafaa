import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as awqDecode from "../../src/format/awq/decode.js";
import * as awqEncode from "../../src/format/awq/encode.js";
import * as awq from "../../src/format/awq/layout.js";
import { decodeWeight } from "../../src/format/compressed-tensors/decode.js";
import { encodePart } from "../../src/format/compressed-tensors/encode.js";
import { partsOf, type StorageFormat, type WeightPart } from "../../src/format/compressed-tensors/layout.js";
import * as gptqDecode from "../../src/format/gptq/decode.js";
import * as gptqEncode from "../../src/format/gptq/encode.js";
import * as gptq from "../../src/format/gptq/layout.js";
import * as mlxDecode from "../../src/format/mlx/decode.js";
import * as mlxEncode from "../../src/format/mlx/encode.js";
import * as mlx from "../../src/format/mlx/layout.js";
import * as onnxDecode from "../../src/format/onnx/decode.js";
import { encodeRows } from "../../src/format/onnx/encode.js";
import { containerOf, type QuantizedPart, rowBytes } from "../../src/format/onnx/layout.js";
import type { StoredTensor } from "../../src/format/source/stored-tensor.js";
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

function throughGptq(weight: QuantizedWeight, version: gptq.CheckpointFormat): QuantizedWeight {
  const stored = new Map<gptq.WeightPart, StoredTensor>();
  for (const { part, dtype, shape, byteLength } of gptq.partsOf(weight)) {
    const bytes = gptqEncode.encodePart(weight, version, part);
    expect(bytes.byteLength, part).toBe(byteLength);
    stored.set(part, { dtype, shape, bytes });
  }
  const part = (name: gptq.WeightPart): StoredTensor => {
    const tensor = stored.get(name);
    if (tensor === undefined) throw new Error(`${name} was not written`);
    return tensor;
  };
  return gptqDecode.decodeWeight("layer", weight, version, {
    codes: part("qweight"),
    zeroPoints: part("qzeros"),
    scales: part("scales"),
    groupIndex: part("g_idx"),
  });
}

function throughAwq(weight: QuantizedWeight): QuantizedWeight {
  const part = (name: awq.WeightPart): StoredTensor => {
    const layout = awq.partsOf(weight).find((each) => each.part === name);
    if (layout === undefined) throw new Error(`${name} was not written`);
    const bytes = awqEncode.encodePart(weight, name);
    expect(bytes.byteLength, name).toBe(layout.byteLength);
    return { dtype: layout.dtype, shape: layout.shape, bytes };
  };
  return awqDecode.decodeWeight("layer", weight, {
    codes: part("qweight"),
    zeroPoints: part("qzeros"),
    scales: part("scales"),
  });
}

/** What MLX holds of a weight: as the weight, with scales and biases per block. */
function throughMlx(weight: QuantizedWeight): mlxDecode.AffineWeight {
  const type = mlx.scaleType(weight, "exact");
  const part = (name: mlx.WeightPart): mlxDecode.StoredTensor => {
    const layout = mlx.partsOf(weight, type, null).find((each) => each.part === name);
    if (layout === undefined) throw new Error(`${name} was not written`);
    const bytes = mlxEncode.encodePart("layer", weight, type, name);
    expect(bytes.byteLength, name).toBe(layout.byteLength);
    return { dtype: layout.dtype, bytes };
  };
  const { bits, rows, columns } = weight;
  const shape = { bits, rows, columns, groupSize: mlx.blockSize(weight) ?? 0 };
  return mlxDecode.decodeWeight("layer", shape, {
    codes: part("weight"),
    scales: part("scales"),
    biases: part("biases"),
  });
}

/** What MatMulNBits holds of a weight: as the weight, with scales and zero points per block. */
function throughOnnx(weight: QuantizedWeight): onnxDecode.BlockedWeight {
  const container = containerOf(weight);
  // In two pieces, as a large weight is written.
  const stored = (part: QuantizedPart): Uint8Array => {
    const half = Math.floor(weight.rows / 2);
    const pieces = [
      encodeRows(weight, container, part, 0, half),
      encodeRows(weight, container, part, half, weight.rows - half),
    ];
    const bytes = Buffer.concat(pieces);
    expect(bytes.length, part).toBe(weight.rows * rowBytes(container, part));
    return bytes;
  };
  const zeroPoints = container.zeroPoints ? stored("zeroPoints") : null;
  const shape = { rows: weight.rows, columns: weight.columns, bits: container.bits, blockSize: container.blockSize };
  return onnxDecode.decodeWeight("layer", shape, { codes: stored("codes"), scales: stored("scales"), zeroPoints });
}

/** The blocks' scales or zero points, from those of the groups. */
function perBlock(weight: QuantizedWeight, values: ArrayLike<number>, blockSize: number): number[] {
  const blocks = Math.ceil(weight.columns / blockSize);
  return Array.from({ length: weight.rows * blocks }, (_, i) => {
    const column = (i % blocks) * blockSize;
    const group = Math.floor(column / weight.groupSize);
    return values[Math.floor(i / blocks) * (weight.columns / weight.groupSize) + group] ?? Number.NaN;
  });
}

describe("encode then decode is the identity", () => {
  it("ONNX, every width, groups of multiples of 16 and rows of any width", () => {
    const bits = [2, 3, 4, 5, 6, 7, 8];
    const grouped = arbitraryWeight({ bits, columnStep: 16, largest: 9 });
    const perRow = arbitraryWeight({ bits, largest: 300 }).filter(({ perChannel }) => perChannel);
    fc.assert(
      fc.property(fc.oneof(grouped, perRow), (weight) => {
        const { codes, scales, zeroPoints, blockSize } = throughOnnx(weight);
        expect(codes).toEqual(weight.codes);
        expect([...scales]).toEqual(perBlock(weight, weight.scales, blockSize));
        expect([...zeroPoints]).toEqual(perBlock(weight, weight.zeroPoints, blockSize));
      }),
      { numRuns: 200 },
    );
  });

  it("MLX, every width that it has, with zero points that its biases give back", () => {
    fc.assert(
      fc.property(arbitraryWeight({ bits: [2, 3, 4, 5, 6, 8], columnStep: 32, largest: 9 }), (weight) => {
        // fp16 has no bias as large as some that random scales ask for.
        fc.pre(!weight.symmetric || weight.scales.every((scale) => Math.abs(scale) * 2 ** (weight.bits - 1) < 65504));
        const stored = throughMlx(weight);
        expect(stored.codes).toEqual(weight.codes);
        expect([...stored.scales]).toEqual(perBlock(weight, weight.scales, stored.groupSize));
        expect([...(mlxDecode.zeroPointsOf(stored) ?? [])]).toEqual(
          perBlock(weight, weight.zeroPoints, stored.groupSize),
        );
      }),
      { numRuns: 200 },
    );
  });

  it("AWQ", () => {
    fc.assert(
      fc.property(arbitraryWeight({ bits: [4], rowStep: 8 }), (weight) => {
        expect(throughAwq(weight)).toEqual(weight);
      }),
      { numRuns: 100 },
    );
  });

  it.each(["pack-quantized", "int-quantized"] as const)("compressed-tensors, %s", (storage) => {
    fc.assert(
      fc.property(arbitraryWeight({ bits: [2, 3, 4, 5, 6, 7, 8] }), (weight) => {
        expect(throughCompressedTensors(weight, storage)).toEqual(weight);
      }),
      { numRuns: 300 },
    );
  });

  it.each(["gptq", "gptq_v2"] as const)("GPTQ, %s", (version) => {
    fc.assert(
      fc.property(
        fc.constantFrom(2, 3, 4, 8).chain((bits) => arbitraryGptq(bits)),
        (weight) => {
          expect(throughGptq(weight, version)).toEqual(weight);
        },
      ),
      { numRuns: 80 },
    );
  });
});

function arbitraryGptq(bits: number): fc.Arbitrary<QuantizedWeight> {
  const step = gptq.sizeStep(bits);
  return arbitraryWeight({ bits: [bits], rowStep: step, columnStep: step, largest: 2 });
}
