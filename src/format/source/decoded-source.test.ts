import { describe, expect, it } from "vitest";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import type { ExportSource } from "../contract/export-source.js";
import { decodedSource } from "./decoded-source.js";

const weight: QuantizedWeight = {
  bits: 2,
  groupSize: 2,
  perChannel: false,
  symmetric: false,
  rows: 1,
  columns: 4,
  codes: Uint8Array.of(0, 1, 2, 3),
  scales: Float32Array.of(0.5, -2),
  zeroPoints: Uint8Array.of(1, 3),
};
const source: ExportSource = {
  config: {},
  folder: ".",
  linears: new Map([["a", weight]]),
  plain: new Map([["b.weight", { name: "b.weight", dtype: "BF16", shape: [1], file: "f", byteLength: 2 }]]),
  activations: null,
  inputScales: new Map(),
  readQuantized: async () => weight,
  readPlain: async () => Uint8Array.of(1, 2),
};

describe("a decoded source", () => {
  it("has the values of the codes as fp32 and everything else as it was", async () => {
    const decoded = decodedSource(source);
    expect(decoded.linears.size).toBe(0);
    expect(decoded.plain.get("a.weight")).toMatchObject({ dtype: "F32", shape: [1, 4], byteLength: 16 });
    const bytes = await decoded.readPlain("a.weight");
    expect([...new Float32Array(bytes.buffer)]).toEqual([-0.5, 0, 2, -0]);
    expect(await decoded.readPlain("b.weight")).toEqual(Uint8Array.of(1, 2));
    expect(decoded.plain.get("b.weight")).toBe(source.plain.get("b.weight"));
    await expect(decoded.readQuantized("a")).rejects.toThrow(/^a: its codes were asked for.*Next: /);
  });
});
