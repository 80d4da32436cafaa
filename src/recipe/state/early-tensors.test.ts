import { expect, it, vi } from "vitest";
import { EarlyTensors } from "./early-tensors.js";

const sizes: Readonly<Record<string, number>> = { a: 3, b: 5, c: 2, d: 4 };

function reader(): { readonly early: EarlyTensors; readonly read: string[] } {
  const read: string[] = [];
  const early = new EarlyTensors({
    readSync(name, buffer) {
      read.push(name);
      const size = sizes[name];
      if (size === undefined) throw new Error(`no ${name}`);
      const bytes = buffer?.take(size, (length) => new Uint8Array(length)) ?? new Uint8Array(size);
      return bytes.fill(name.charCodeAt(0));
    },
  });
  return { early, read };
}

it("reads what was announced, in order, once, and all of it stays until the next announcement", () => {
  const { early, read } = reader();
  early.readOn(60);
  expect(read).toEqual([]);
  early.announce(["a", "b"]);
  early.readOn(0);
  expect([read, early.get("a")]).toEqual([[], null]);
  early.readOn(60);
  early.readOn(60);
  expect(read).toEqual(["a", "b"]);
  expect(early.get("a")).toEqual(new Uint8Array(3).fill(97));
  expect(early.get("b")).toEqual(new Uint8Array(5).fill(98));
  const before = early.get("b")?.buffer;
  early.announce(["c", "d"]);
  expect(early.get("a")).toBeNull();
  early.readOn(60);
  expect(early.get("d")).toEqual(new Uint8Array(4).fill(100));
  // The memory of the tensor in its place.
  expect(early.get("d")?.buffer).toBe(before);
});

it("stops when the time is over", () => {
  const { early, read } = reader();
  let now = 0;
  const clock = vi.spyOn(performance, "now").mockImplementation(() => now);
  const slow = new EarlyTensors({
    readSync(name) {
      read.push(name);
      now += 20;
      return new Uint8Array(1);
    },
  });
  try {
    slow.announce(["a", "b", "c", "d"]);
    slow.readOn(0.001);
    expect(read).toEqual(["a"]);
    slow.readOn(0.03);
    expect(read).toEqual(["a", "b", "c"]);
  } finally {
    clock.mockRestore();
  }
  early.announce(["unknown"]);
  expect(() => early.readOn(60)).toThrow("no unknown");
});
