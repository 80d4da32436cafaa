import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CrossblockError, FormatError } from "../../errors.js";
import { encodeHeader, type TensorEntry } from "./file/header.js";
import type { GgufValue } from "./file/layout.js";
import { GgufFile } from "./read.js";

let scratch = "";

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-gguf-read-"));
});

afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

const metadata = new Map<string, GgufValue>([
  ["general.architecture", { type: "string", value: "llama" }],
  ["u8", { type: "u8", value: 255 }],
  ["i8", { type: "i8", value: -128 }],
  ["u16", { type: "u16", value: 65535 }],
  ["i16", { type: "i16", value: -32768 }],
  ["u32", { type: "u32", value: 4294967295 }],
  ["i32", { type: "i32", value: -2147483648 }],
  ["f32", { type: "f32", value: 0.5 }],
  ["f64", { type: "f64", value: Math.PI }],
  ["u64", { type: "u64", value: 2n ** 64n - 1n }],
  ["i64", { type: "i64", value: -(2n ** 63n) }],
  ["bool", { type: "bool", value: true }],
  ["tokens", { type: "array", element: "string", values: ["a", "", "Ġé", "😀"] }],
  ["flags", { type: "array", element: "bool", values: [true, false] }],
  ["none", { type: "array", element: "f32", values: [] }],
]);
const tensors: readonly TensorEntry[] = [
  { name: "a.weight", type: "Q4_0", shape: [2, 32], offset: 0 },
  { name: "b.weight", type: "F32", shape: [3], offset: 64 },
];

function fileOf(bytes: Uint8Array): string {
  const path = join(scratch, "file.gguf");
  writeFileSync(path, bytes);
  return path;
}

function whole(): Buffer {
  return Buffer.concat([encodeHeader(metadata, tensors), Buffer.alloc(96)]);
}

/** The file with `change` made to the bytes that follow `marker`. */
function damaged(marker: string, change: (bytes: Buffer, at: number) => void): string {
  const bytes = whole();
  change(bytes, bytes.indexOf(marker) + marker.length);
  return fileOf(bytes);
}

describe("a GGUF file", () => {
  it("gives back every type of value and every tensor", () => {
    using file = GgufFile.open(fileOf(whole()));
    expect(file.metadata).toEqual(metadata);
    expect([...file.tensors.values()]).toEqual([
      { ...tensors[0], byteLength: 36 },
      { ...tensors[1], byteLength: 12 },
    ]);
    expect([...file.dequantize("b.weight")]).toEqual([0, 0, 0]);
    expect(() => file.readBytes("c.weight")).toThrow(/no tensor named c.weight.*Next: /);
  });

  it("begins with the bytes of the specification, and its data section is aligned", () => {
    const header = encodeHeader(new Map([["k", { type: "bool", value: true }]]), []);
    expect(Buffer.from(header).toString("hex")).toBe(
      `47475546${"03000000"}${"0".repeat(16)}${"0100000000000000"}${"0100000000000000"}6b${"07000000"}01`.padEnd(
        128,
        "0",
      ),
    );
    expect(encodeHeader(metadata, tensors).length % 32).toBe(0);
  });

  it.each([
    ["no magic", () => fileOf(Buffer.from("GGML".padEnd(64))), /not a GGUF file/],
    ["an empty file", () => fileOf(Buffer.alloc(0)), /not a GGUF file/],
    ["version 2", () => damaged("GGUF", (b, at) => b.writeUInt32LE(2, at)), /GGUF version 2 instead of 3/],
    ["2^60 tensors", () => damaged("GGUF", (b, at) => b.writeBigUInt64LE(2n ** 60n, at + 4)), /tensor count/],
    ["2^60 keys", () => damaged("GGUF", (b, at) => b.writeBigUInt64LE(2n ** 60n, at + 12)), /key count/],
    [
      "a string of 2^40 bytes",
      () => damaged("GGUF", (b, at) => b.writeBigUInt64LE(2n ** 40n, at + 20)),
      /string length 1099511627776 is more than/,
    ],
    ["an unknown value type", () => damaged("u16", (b, at) => b.writeUInt32LE(13, at)), /unknown value type 13/],
    [
      "an array longer than the file",
      () => damaged("tokens", (b, at) => b.writeBigUInt64LE(2n ** 23n, at + 8)),
      /array length of tokens/,
    ],
    ["an array of arrays", () => damaged("tokens", (b, at) => b.writeUInt32LE(9, at + 4)), /array of arrays/],
    ["a boolean 2", () => damaged("bool", (b, at) => b.writeUInt8(2, at + 4)), /boolean with the value 2/],
    ["a key twice", () => damaged("i16", (b, at) => b.write("u16", at - 3)), /key u16 appears twice/],
    ["five dimensions", () => damaged("a.weight", (b, at) => b.writeUInt32LE(5, at)), /has 5 dimensions/],
    [
      "too many elements",
      () => damaged("a.weight", (b, at) => b.writeBigUInt64LE(2n ** 52n, at + 4)),
      /more elements than any file could/,
    ],
    ["part of a block", () => damaged("a.weight", (b, at) => b.writeBigUInt64LE(33n, at + 4)), /whole number of Q4_0/],
    ["an unknown tensor type", () => damaged("a.weight", (b, at) => b.writeUInt32LE(99, at + 20)), /unknown type 99/],
    ["an odd offset", () => damaged("b.weight", (b, at) => b.writeBigUInt64LE(63n, at + 16)), /multiple of 32/],
    ["an overlap", () => damaged("b.weight", (b, at) => b.writeBigUInt64LE(32n, at + 16)), /b.weight overlaps/],
    [
      "a tensor beyond the end",
      () => damaged("b.weight", (b, at) => b.writeBigUInt64LE(96n, at + 16)),
      /b.weight ends 12 bytes past the end/,
    ],
    ["a tensor twice", () => damaged("b.weight", (b, at) => b.write("a", at - 8)), /a.weight appears twice/],
    ["a cut header", () => fileOf(whole().subarray(0, 300)), /more bytes, the file has|is more than/],
  ])("refuses %s", (_name, make, message) => {
    const path = make();
    expect(() => GgufFile.open(path)).toThrow(message);
    expect(() => GgufFile.open(path)).toThrow(/file\.gguf: .*Next: /);
  });

  it("says that a file is not there", () => {
    expect(() => GgufFile.open(join(scratch, "none.gguf"))).toThrow(/none.gguf: the GGUF file can't be opened.*Next: /);
  });

  it("refuses an alignment that is no power of two", () => {
    const bytes = encodeHeader(new Map([["general.alignment", { type: "u32", value: 48 }]]), []);
    expect(() => GgufFile.open(fileOf(bytes))).toThrow(/general.alignment/);
  });

  it("refuses to write names that ggml would cut", () => {
    const name = "x".repeat(64);
    expect(() => encodeHeader(new Map(), [{ name, type: "F32", shape: [1], offset: 0 }])).toThrow(FormatError);
  });

  it("throws nothing but typed errors, whatever bytes are changed", () => {
    const bytes = whole();
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        (changes) => {
          const copy = Buffer.from(bytes);
          for (const [at, value] of changes) copy[at] = value;
          try {
            using file = GgufFile.open(fileOf(copy));
            for (const name of file.tensors.keys()) file.readBytes(name);
          } catch (error) {
            expect(error).toBeInstanceOf(CrossblockError);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
