import { describe, expect, it } from "vitest";
import type { TensorInfo } from "../../checkpoint/tensor-reader.js";
import type { StoredView } from "../../network/index.js";
import type { QuantizedWeight } from "../../quant/quantized-weight.js";
import type { ExportSource } from "../contract/export-source.js";
import { networkSource } from "./network-source.js";
import { type FolderViews, storedSource } from "./stored-source.js";

function weightOf(rows: number, columns: number, seed: number, bits = 4): QuantizedWeight {
  const groups = columns / 2;
  return {
    bits,
    groupSize: 2,
    perChannel: false,
    symmetric: false,
    rows,
    columns,
    codes: Uint8Array.from({ length: rows * columns }, (_, i) => (i * 5 + seed) % 16),
    scales: Float32Array.from({ length: rows * groups }, (_, i) => (i + seed) / 8),
    zeroPoints: Uint8Array.from({ length: rows * groups }, (_, i) => (i * 3 + seed) % 16),
  };
}

function sourceOf(
  weights: Readonly<Record<string, QuantizedWeight>>,
  plain: Readonly<Record<string, readonly [readonly number[], number[]]>>,
): ExportSource {
  const info = (name: string, shape: readonly number[]): TensorInfo => ({
    name,
    dtype: "U8",
    shape,
    file: "",
    byteLength: shape.reduce((a, b) => a * b, 1),
  });
  return {
    config: {},
    folder: ".",
    linears: new Map(Object.entries(weights)),
    plain: new Map(Object.entries(plain).map(([name, [shape]]) => [name, info(name, shape)])),
    activations: null,
    inputScales: new Map(),
    readQuantized: async (name) => weights[name] as QuantizedWeight,
    readPlain: async (name) => Uint8Array.from(plain[name]?.[1] ?? []),
  };
}

const view = (
  more: Partial<StoredView> & Pick<StoredView, "shape" | "from" | "storedShape" | "period" | "count">,
): StoredView => ({
  transposed: false,
  first: 0,
  ...more,
});

/** Queries and keys in one tensor, head by head; two experts, stored as one and written each on its own. */
const views: FolderViews = {
  plain: new Map([
    ["q.weight", view({ shape: [4, 4], from: ["qk.weight"], storedShape: [6, 4], period: 3, count: 2 })],
    ["k.weight", view({ shape: [2, 4], from: ["qk.weight"], storedShape: [6, 4], period: 3, first: 2, count: 1 })],
    [
      "up.weight",
      view({ shape: [4, 2], from: ["experts.up"], storedShape: [2, 2, 2], transposed: true, period: 2, count: 2 }),
    ],
    ["up.bias", view({ shape: [4], from: ["experts.up_bias"], storedShape: [2, 2], period: 2, count: 2 })],
  ]),
  coded: new Map([
    ["q.weight", view({ shape: [4, 4], from: ["qk.weight"], storedShape: [6, 4], period: 3, count: 2 })],
    ["k.weight", view({ shape: [2, 4], from: ["qk.weight"], storedShape: [6, 4], period: 3, first: 2, count: 1 })],
    [
      "up.weight",
      view({ shape: [4, 2], from: ["e.0.up.weight", "e.1.up.weight"], storedShape: [2, 2], period: 2, count: 2 }),
    ],
    ["up.bias", view({ shape: [4], from: ["e.0.up.bias", "e.1.up.bias"], storedShape: [2], period: 2, count: 2 })],
  ]),
};

describe("a result by what a folder stores", () => {
  it("has fused Linears as one and experts each on their own, and comes back as it was", async () => {
    const [q, k, up] = [weightOf(4, 4, 1), weightOf(2, 4, 7), weightOf(4, 2, 3)];
    const source = sourceOf({ q, k, up }, { "up.bias": [[4], [1, 2, 3, 4]], norm: [[1], [5]] });
    const stored = storedSource(source, views);
    expect([...stored.linears.keys()].sort()).toEqual(["e.0.up", "e.1.up", "qk"]);
    expect([...stored.plain.keys()].sort()).toEqual(["e.0.up.bias", "e.1.up.bias", "norm"]);
    const qk = await stored.readQuantized("qk");
    expect(qk).toMatchObject({ rows: 6, columns: 4 });
    // Rows of a head: two of the queries, then one of the keys.
    const row = (of: QuantizedWeight, i: number): number[] => [...of.codes.subarray(i * 4, i * 4 + 4)];
    expect([0, 1, 2, 3, 4, 5].map((i) => row(qk, i))).toEqual([
      row(q, 0),
      row(q, 1),
      row(k, 0),
      row(q, 2),
      row(q, 3),
      row(k, 1),
    ]);
    expect([...(await stored.readQuantized("e.1.up")).codes]).toEqual([...up.codes.subarray(4)]);
    expect([...(await stored.readPlain("e.1.up.bias"))]).toEqual([3, 4]);
    const back = networkSource(stored, views);
    expect([...back.linears.keys()].sort()).toEqual(["k", "q", "up"]);
    for (const [name, weight] of Object.entries({ q, k, up })) expect(await back.readQuantized(name)).toEqual(weight);
    expect([...(await back.readPlain("up.bias"))]).toEqual([1, 2, 3, 4]);
    expect([...(await back.readPlain("norm"))]).toEqual([5]);
  });

  it("has what stays in floating point as the source stores it", async () => {
    const source = sourceOf(
      {},
      {
        "up.weight": [
          [4, 2],
          [1, 2, 3, 4, 5, 6, 7, 8],
        ],
        "up.bias": [[4], [1, 2, 3, 4]],
      },
    );
    const stored = storedSource(source, views);
    expect([...stored.plain].map(([name, { shape }]) => [name, shape])).toEqual([
      ["experts.up", [2, 2, 2]],
      ["experts.up_bias", [2, 2]],
    ]);
    expect([...(await stored.readPlain("experts.up"))]).toEqual([1, 3, 2, 4, 5, 7, 6, 8]);
    expect([...(await networkSource(stored, views).readPlain("up.weight"))]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it("refuses parts of one tensor with different schemes, or without codes", () => {
    const q = weightOf(4, 4, 1);
    const mixed = sourceOf({ q, k: weightOf(2, 4, 1, 3) }, {});
    expect(() => storedSource(mixed, views)).toThrow(
      /qk: q, k are stored as one tensor and have different schemes.*Next: .*one scheme/,
    );
    const half = sourceOf(
      { q },
      {
        "k.weight": [
          [2, 4],
          [0, 1, 2, 3, 4, 5, 6, 7],
        ],
      },
    );
    expect(() => storedSource(half, views)).toThrow(/qk: only q of what it stores as one tensor is quantized.*Next: /);
  });
});
