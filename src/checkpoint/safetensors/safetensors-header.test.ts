import { describe, expect, it } from "vitest";
import { CheckpointError } from "../../errors.js";
import { checkHeaderLength, parseSafetensorsHeader } from "./safetensors-header.js";

const parse = (header: object | string, dataLength: number): ReturnType<typeof parseSafetensorsHeader> =>
  parseSafetensorsHeader(
    new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header)),
    dataLength,
    "m.safetensors",
  );

const tensor = (begin: number, end: number, dtype = "U8", shape: unknown = [end - begin]): object => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

function refusal(run: () => unknown): CheckpointError {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(CheckpointError);
    return error as CheckpointError;
  }
  throw new Error("nothing was refused");
}

describe("parseSafetensorsHeader", () => {
  it("reads tensors in order of offset, scalars, empty tensors, metadata and padding", () => {
    const json = JSON.stringify({
      b: tensor(8, 10, "BF16", []),
      __metadata__: { format: "pt" },
      'q"\\u00e9\n': tensor(0, 8, "F32", [1, 2]),
      empty: tensor(8, 8, "I64", [0, 3]),
    });
    const header = parse(`${json}   \n`, 10);
    expect(header.tensors.map((t) => t.name)).toEqual(['q"\\u00e9\n', "empty", "b"]);
    expect(header.tensors[0]).toEqual({ name: 'q"\\u00e9\n', dtype: "F32", shape: [1, 2], begin: 0, end: 8 });
    expect([...header.metadata]).toEqual([["format", "pt"]]);
  });

  it("keeps names such as __proto__ and constructor as ordinary tensors", () => {
    const header = parse(
      `{"__proto__":${JSON.stringify(tensor(0, 1))},"constructor":${JSON.stringify(tensor(1, 2))}}`,
      2,
    );
    expect(header.tensors.map((t) => t.name)).toEqual(["__proto__", "constructor"]);
  });

  const cases: [string, object | string, number, RegExp][] = [
    ["unknown dtype", { a: tensor(0, 1, "F128") }, 1, /tensor "a": unknown dtype "F128"/],
    ["a dtype named like an Object method", { a: tensor(0, 1, "toString") }, 1, /unknown dtype/],
    ["negative shape", { a: tensor(0, 1, "U8", [-1]) }, 1, /tensor "a": shape holds "-1"/],
    ["fractional shape", { a: tensor(0, 1, "U8", [1.5]) }, 1, /shape holds "1.5"/],
    ["shape as strings", { a: tensor(0, 1, "U8", ["1"]) }, 1, /not a non-negative exact integer/],
    ["shape beyond exact integers", '{"a":{"dtype":"U8","shape":[9007199254740993]}}', 1, /"9007199254740993", not a/],
    ["shape that is no list", { a: tensor(0, 1, "U8", 1) }, 1, /expected \[/],
    ["product beyond exact integers", { a: tensor(0, 1, "U8", [2 ** 40, 2 ** 40]) }, 1, /exact number of bytes/],
    ["half a byte", { a: tensor(0, 1, "F4", [1]) }, 1, /whole, exact number/],
    ["size against range", { a: tensor(0, 3, "F32", [1]) }, 3, /takes 4 bytes but its data_offsets hold 3/],
    ["backwards range", { a: { dtype: "U8", shape: [1], data_offsets: [2, 1] } }, 3, /run backwards/],
    ["one offset", { a: { dtype: "U8", shape: [0], data_offsets: [0] } }, 0, /needs two numbers/],
    ["three offsets", { a: { dtype: "U8", shape: [0], data_offsets: [0, 0, 0] } }, 0, /more than 2/],
    ["65 dimensions", { a: tensor(0, 1, "U8", new Array(65).fill(1)) }, 1, /more than 64 numbers/],
    ["overlap", { a: tensor(0, 4), b: tensor(3, 6) }, 6, /tensor "b": its data overlaps that of tensor "a"/],
    ["an empty tensor inside another", { a: tensor(0, 4), b: tensor(2, 2) }, 4, /overlaps/],
    ["gap", { a: tensor(0, 4), b: tensor(5, 6) }, 6, /tensor "b": 1 bytes before its data belong to no tensor/],
    ["bytes left over", { a: tensor(0, 4) }, 5, /1 bytes at the end/],
    ["past the end", { a: tensor(0, 4) }, 3, /tensor "a": its data ends at byte 4 of 3/],
    ["missing dtype", { a: { shape: [0], data_offsets: [0, 0] } }, 0, /tensor "a": dtype is missing/],
    ["missing shape", { a: { dtype: "U8", data_offsets: [0, 0] } }, 0, /shape is missing/],
    ["missing offsets", { a: { dtype: "U8", shape: [0] } }, 0, /data_offsets is missing/],
    ["unknown key", { a: { ...tensor(0, 0), more: 1 } }, 0, /unknown key "more"/],
    [
      "duplicate name",
      '{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\\u0061":{}}',
      0,
      /the name "a" occurs twice/,
    ],
    ["duplicate key", '{"a":{"dtype":"U8","dtype":"F32"}}', 0, /the name "dtype" occurs twice/],
    ["duplicate __metadata__", '{"__metadata__":{},"__metadata__":{}}', 0, /occurs twice/],
    ["metadata that is no string", { __metadata__: { a: 1 } }, 0, /expected a string/],
    ["a tensor that is no object", { a: 3 }, 0, /expected {/],
    ["an array", "[]", 0, /doesn't start with {/],
    ["a space in front", " {}", 0, /doesn't start with {/],
    ["text behind", "{}x", 0, /text after the JSON header/],
    ["a trailing comma", '{"__metadata__":{},}', 0, /expected a string/],
    ["an open string", '{"a', 0, /invalid string/],
    ["a leading zero", '{"a":{"dtype":"U8","shape":[01],"data_offsets":[0,1]}}', 1, /exact integer/],
    ["half a surrogate pair", '{"\\ud800":{}}', 0, /not valid Unicode/],
    ["deep nesting", `{"a":${"[".repeat(100_000)}`, 0, /expected {/],
    ["nothing", "", 0, /doesn't start with {/],
  ];
  it.each(cases)("refuses %s", (_, header, dataLength, message) => {
    const error = refusal(() => parse(header, dataLength));
    expect(error.message).toMatch(message);
    expect(error.message).toContain("m.safetensors");
    expect(error.next).toMatch(/download|export/);
    expect(error.exitCode).toBe(2);
  });

  it("refuses bytes that are no UTF-8 and clips endless names in its message", () => {
    const bad = () => parseSafetensorsHeader(new Uint8Array([0x7b, 0x22, 0xff, 0x22]), 0, "m");
    expect(refusal(bad).message).toMatch(/UTF-8/);
    expect(refusal(() => parse({ ["n".repeat(1e6)]: 1 }, 0)).message.length).toBeLessThan(400);
  });
});

describe("checkHeaderLength", () => {
  const prefix = (length: bigint): Uint8Array => new Uint8Array(new BigUint64Array([length]).buffer);

  it("returns the length that fits", () => {
    expect(checkHeaderLength(prefix(10n), 18, "m")).toBe(10);
  });

  it.each([
    [prefix(11n), 18, /truncated/],
    [prefix(100_000_001n), 1e9, /over the limit/],
    [prefix(2n ** 64n - 1n), 1e9, /over the limit/],
    [prefix(0n), 1e3, /can't hold a JSON object/],
    [new Uint8Array(3), 3, /too few/],
  ])("refuses %#", (bytes, size, message) => {
    expect(refusal(() => checkHeaderLength(bytes, size, "m")).message).toMatch(message);
  });
});
