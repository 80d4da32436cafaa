import { describe, expect, it } from "vitest";
import { checkMetadata } from "./check-metadata.js";
import type { GgufValue } from "./layout.js";

const expected = new Map<string, GgufValue>([
  ["llama.rope.freq_base", { type: "f32", value: 500000.1 }],
  ["tokenizer.ggml.tokens", { type: "array", element: "string", values: ["a", "b"] }],
  ["tokenizer.ggml.scores", { type: "array", element: "f32", values: [0.1] }],
  ["crossblock.version", { type: "string", value: "0.1.0" }],
]);

const changed = (key: string, value: GgufValue | null): Map<string, GgufValue> => {
  const stored = new Map(expected);
  if (value === null) stored.delete(key);
  else stored.set(key, value);
  return stored;
};

describe("metadata", () => {
  it("is the same when floats are those of the file, and whichever version wrote it", () => {
    const stored = new Map<string, GgufValue>([
      ...expected,
      ["llama.rope.freq_base", { type: "f32", value: Math.fround(500000.1) }],
      ["tokenizer.ggml.scores", { type: "array", element: "f32", values: [Math.fround(0.1)] }],
      ["crossblock.version", { type: "string", value: "0.2.0" }],
    ]);
    expect(checkMetadata(stored, expected).status).toBe("same");
  });

  it.each([
    ["llama.rope.freq_base", { type: "f32", value: 10000 }, "llama.rope.freq_base is 10000 instead of 500000.1"],
    ["tokenizer.ggml.tokens", null, "tokenizer.ggml.tokens is missing instead of 2 values"],
    ["general.x", { type: "bool", value: true }, "general.x is true instead of missing"],
  ] as const)("differs by name: %s", (key, value, detail) => {
    expect(checkMetadata(changed(key, value), expected)).toEqual({
      name: "metadata",
      source: null,
      status: "different",
      detail,
    });
  });
});
