import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Checkpoint } from "../../checkpoint/checkpoint.js";
import { writeSafetensors } from "../../checkpoint/safetensors/write-safetensors.js";
import { NetworkCheckpoint } from "./network-checkpoint.js";
import { readView, type StoredView, writeStored } from "./stored-view.js";

const whole = { transposed: false, first: 0 } as const;
const bytes = (...values: number[]): Uint8Array<ArrayBuffer> => new Uint8Array(Uint16Array.from(values).buffer);
const numbers = (of: Uint8Array): number[] => [...new Uint16Array(of.slice().buffer)];

/** Parts `a` and `b` of a stored tensor "ab" whose rows are numbered in their order. */
function halves(
  storedShape: readonly number[],
  period: number,
  a: number,
  transposed = false,
): [StoredView, StoredView] {
  const columns = 2;
  const rows = storedShape.reduce((product, size) => product * size, 1) / columns;
  const part = (first: number, count: number): StoredView => ({
    shape: [(rows / period) * count, columns],
    from: ["ab"],
    storedShape,
    transposed,
    period,
    first,
    count,
  });
  return [part(0, a), part(a, period - a)];
}

const cases: readonly (readonly [string, [StoredView, StoredView], number[], number[], number[]])[] = [
  ["one part after the other", halves([3, 2], 3, 1), [0, 1, 2, 3, 4, 5], [0, 1], [2, 3, 4, 5]],
  ["head by head", halves([4, 2], 2, 1), [0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 4, 5], [2, 3, 6, 7]],
  ["two stacked matrices", halves([2, 2, 2], 2, 1), [0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 4, 5], [2, 3, 6, 7]],
  // Each matrix is stored [columns 2, rows 3].
  [
    "dimensions swapped",
    halves([2, 2, 3], 3, 1, true),
    [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11],
    [0, 1, 6, 7],
    [2, 3, 4, 5, 8, 9, 10, 11],
  ],
];

describe("parts of a stored tensor", () => {
  it.each(cases)("%s", (_name, [a, b], stored, ofA, ofB) => {
    const read = (): Uint8Array => bytes(...stored);
    expect(numbers(readView(a, 2, read))).toEqual(ofA);
    expect(numbers(readView(b, 2, read))).toEqual(ofB);
    const parts = [
      { view: b, read: () => bytes(...ofB) },
      { view: a, read: () => bytes(...ofA) },
    ];
    expect(numbers(writeStored("ab", parts, 2))).toEqual(stored);
  });

  it("of several stored tensors follow one another", () => {
    const view: StoredView = { ...whole, shape: [4, 2], from: ["e0", "e1"], storedShape: [2, 2], period: 2, count: 2 };
    const stored: Readonly<Record<string, Uint8Array>> = { e0: bytes(0, 1, 2, 3), e1: bytes(4, 5, 6, 7) };
    const all = readView(view, 2, (name) => stored[name] as Uint8Array);
    expect(numbers(all)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(numbers(writeStored("e1", [{ view, read: () => all }], 2))).toEqual([4, 5, 6, 7]);
  });
});

describe("a checkpoint by the tensors of its network", () => {
  it("has the parts in place of what is stored, and everything else as it is", async () => {
    const folder = await mkdtemp(join(tmpdir(), "views-"));
    const tensor = (name: string, shape: readonly number[], content: Uint8Array) =>
      ({ name, dtype: "BF16", shape, byteLength: content.length, bytes: () => content }) as const;
    await writeSafetensors(folder, [tensor("ab", [3, 2], bytes(0, 1, 2, 3, 4, 5)), tensor("other", [1], bytes(9))]);
    using source = await Checkpoint.open(folder);
    const [a, b] = halves([3, 2], 3, 1);
    const views = new Map([
      ["a.weight", a],
      ["b.weight", b],
    ]);
    const checkpoint = new NetworkCheckpoint(source, views);
    expect([...checkpoint.tensors.keys()]).toEqual(["a.weight", "b.weight", "other"]);
    expect(checkpoint.tensors.get("b.weight")).toMatchObject({ dtype: "BF16", shape: [2, 2], byteLength: 8 });
    expect(numbers(await checkpoint.read("b.weight"))).toEqual([2, 3, 4, 5]);
    expect(numbers(await checkpoint.read("other"))).toEqual([9]);
    const other = halves([6, 2], 3, 1);
    expect(() => new NetworkCheckpoint(source, new Map([["a.weight", other[0]]]))).toThrow(/"ab".*\[3, 2\].*\[6, 2\]/);
  });
});
