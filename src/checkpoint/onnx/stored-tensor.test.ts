import { describe, expect, it } from "vitest";
import { FormatError } from "../../errors.js";
import { decodeMessage } from "./decode-message.js";
import { encodeMessage } from "./encode-message.js";
import { DATA_TYPES, type DataType, MODEL, type OnnxTensor } from "./schema.js";
import { tensorBytes, tensorFacts } from "./stored-tensor.js";

/** The tensor as it comes back from a file. */
function stored(tensor: OnnxTensor): OnnxTensor {
  const bytes = encodeMessage(MODEL, { irVersion: 8, graph: { initializers: [tensor] } });
  const [found] = decodeMessage(MODEL, bytes, "model.onnx").graph?.initializers ?? [];
  return found ?? {};
}

const bytesOf = (array: { readonly buffer: ArrayBufferLike }): number[] => [...new Uint8Array(array.buffer)];

describe("a tensor in an ONNX file", () => {
  it.each<readonly [DataType, Partial<OnnxTensor>, number[]]>([
    ["float32", { floatData: [0.5, -2] }, bytesOf(Float32Array.of(0.5, -2))],
    ["float64", { doubleData: [0.1, -2] }, bytesOf(Float64Array.of(0.1, -2))],
    ["int64", { int64Data: [3, -(2 ** 40)] }, bytesOf(BigInt64Array.of(3n, -(2n ** 40n)))],
    ["int32", { int32Data: [3, -4] }, bytesOf(Int32Array.of(3, -4))],
    ["int8", { int32Data: [3, -4] }, bytesOf(Int8Array.of(3, -4))],
    ["bool", { int32Data: [1, 0] }, [1, 0]],
    ["float16", { int32Data: [0x3c00, 0xc000] }, [0x00, 0x3c, 0x00, 0xc0]],
    ["uint16", { rawData: Uint8Array.of(1, 2, 3, 4) }, [1, 2, 3, 4]],
  ])("has its numbers in a list as in bytes: %s", (dataType, data, expected) => {
    const tensor = stored({ name: "w", shape: [2, 1], dataType: DATA_TYPES[dataType], ...data });
    expect([...tensorBytes(tensor, "model.onnx")]).toEqual(expected);
    expect(tensorFacts(tensor, "model.onnx")).toEqual({
      name: "w",
      dataType,
      shape: [2, 1],
      byteLength: expected.length,
    });
  });

  it("has the nearest exact number for one beyond 2^53: the open end of a Slice", () => {
    const { int64Data } = stored({ int64Data: [Number.MAX_SAFE_INTEGER] });
    expect(int64Data).toEqual([Number.MAX_SAFE_INTEGER]);
    const largest = Uint8Array.of(0x38, ...new Array(8).fill(0xff), 0x7f);
    const file = Uint8Array.of(0x3a, largest.length + 2, 0x2a, largest.length, ...largest);
    expect(decodeMessage(MODEL, file, "").graph?.initializers?.[0]?.int64Data).toEqual([Number.MAX_SAFE_INTEGER]);
  });

  it.each([
    ["too few numbers", { shape: [3], dataType: 1, floatData: [1] }, /1 numbers for the shape \[3\]/],
    ["too few bytes", { shape: [3], dataType: 1, rawData: Uint8Array.of(1) }, /1 bytes instead of 12/],
    ["text", { shape: [1], dataType: 8 }, /data type 8/],
    ["too many dimensions", { shape: new Array(65).fill(1), dataType: 1 }, /65 dimensions/],
    ["too many numbers", { shape: [2 ** 30, 2 ** 30], dataType: 1 }, /shape \[1073741824,1073741824\]/],
  ])("is refused with the next action: %s", (_, tensor, message) => {
    const read = (): Uint8Array => tensorBytes({ name: "w", ...tensor }, "model.onnx");
    expect(read).toThrow(FormatError);
    expect(read).toThrow(message);
    expect(read).toThrow(/^model\.onnx, "w": .*Next: export or download it again/);
  });
});
