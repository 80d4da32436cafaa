import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FormatError } from "../../errors.js";
import { decodeMessage } from "./decode-message.js";
import { encodeMessage } from "./encode-message.js";
import { MODEL, type OnnxModel } from "./schema.js";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const decode = (text: string): OnnxModel => decodeMessage(MODEL, Buffer.from(text, "hex"), "model.onnx");

describe("protobuf's wire format", () => {
  it("gives the bytes of the specification's examples", () => {
    // 150 is "08 96 01" in field 1, "testing" is "12 07 74 65 ..." in field 2.
    expect(hex(encodeMessage(MODEL, { irVersion: 150, producerName: "testing" }))).toBe(
      "08960112077465737469 6e67".replace(" ", ""),
    );
    expect(decode("08960112077465737469 6e67".replace(" ", ""))).toEqual({ irVersion: 150, producerName: "testing" });
  });

  it("writes negative numbers in ten bytes, floats in four", () => {
    const model = {
      graph: {
        nodes: [
          {
            attributes: [
              { name: "axis", int: -1, type: 2 },
              { name: "epsilon", float: 0.5, type: 1 },
            ],
          },
        ],
      },
    };
    const bytes = encodeMessage(MODEL, model);
    expect(hex(bytes)).toContain("18ffffffffffffffffff01");
    expect(hex(bytes)).toContain("150000003f");
    expect(decodeMessage(MODEL, bytes, "")).toEqual(model);
  });

  it("takes packed and single numbers, skips unknown fields, and lets the last value win", () => {
    const shape = (text: string): unknown => decode(text).graph?.initializers?.[0]?.shape;
    expect(shape("3a062a0408030804")).toEqual([3, 4]);
    expect(shape("3a062a040a020304")).toEqual([3, 4]);
    // A number beyond 2^53 in field 30, which nobody reads.
    expect(decode("f001ffffffffffffffff7f0807")).toEqual({ irVersion: 7 });
    // Fields 30 (varint), 31 (length), 100 (eight bytes), 101 (four bytes).
    expect(decode(`f00105fa010161a106${"00".repeat(8)}ad06${"00".repeat(4)}0807`)).toEqual({ irVersion: 7 });
    expect(decode("08070808")).toEqual({ irVersion: 8 });
  });

  it.each([
    ["a cut number", "0896", /inside a number/],
    ["a cut text", "120774", /inside a field/],
    ["a length beyond the end", "12ffffffff0f", /inside a field/],
    ["a negative length", "12ffffffffffffffffff01", /inside a field/],
    ["an endless number", `08${"ff".repeat(10)}01`, /ten bytes/],
    ["a number beyond 2^53", "08ffffffffffffff7f", /2\^53/],
    ["a group", "0b", /wire type 3/],
    ["another wire type", "0d00000000", /wire type 5 for a number/],
    ["text that is none", "1201ff", /UTF-8/],
  ])("refuses %s", (_, text, message) => {
    expect(() => decode(text)).toThrow(FormatError);
    expect(() => decode(text)).toThrow(message);
    expect(() => decode(text)).toThrow(/^model\.onnx: this is not an ONNX file.*Next: /);
  });

  it("reads back what it writes, and throws nothing but typed errors on other bytes", () => {
    const text = fc.string({ unit: "grapheme", maxLength: 200 });
    const tensor = fc.record({ name: text, shape: fc.array(fc.nat(), { minLength: 1 }), rawData: fc.uint8Array() });
    const model = fc.record({
      irVersion: fc.maxSafeInteger(),
      graph: fc.record({ name: text, initializers: fc.array(tensor, { minLength: 1, maxLength: 5 }) }),
    });
    fc.assert(
      fc.property(model, (value) => {
        expect(decodeMessage(MODEL, encodeMessage(MODEL, value), "")).toEqual(value);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          decodeMessage(MODEL, bytes, "");
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
