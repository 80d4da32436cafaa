import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../checkpoint/testing/temporary-folder.js";
import { liveHandles, scope, Tensor } from "../tensor/index.js";
import { createPortStore, streamBytes } from "./port-store.js";

describe("ports of bf16", () => {
  const shape = { sequences: 2, tokens: 1, ports: { x: [1, 2], t: [], level: [1] } };

  it.each(["host", "disk"] as const)("keep time steps and noise levels as they are, on the %s", (storage) => {
    using folder = temporaryFolder();
    const live = liveHandles();
    const store = createPortStore(shape, storage, { dtype: "bfloat16", device: "cpu", scratch: folder.path });
    scope(() => {
      store.write(0, {
        x: Tensor.from(Float32Array.of(999, 1.5, 2, 3), [2, 1, 2]),
        t: Tensor.from(BigInt64Array.of(999n, 1001n)),
        level: Tensor.from(Float32Array.of(0.002, 79.9), [2, 1]),
      });
      const { x, t, level } = store.read([1, 0]);
      // bf16 has eight bits.
      expect([...(x?.to("float32").toFloat32Array() ?? [])]).toEqual([2, 3, 1000, 1.5]);
      expect([...(t?.to("float32").toFloat32Array() ?? [])]).toEqual([1001, 999]);
      expect([...(level?.toFloat32Array() ?? [])]).toEqual([79.9, 0.002].map(Math.fround));
    });
    store.dispose();
    expect(liveHandles()).toBe(live);
    expect(streamBytes(shape, "bfloat16")).toBe(2 * (2 * 2 + 4 + 4));
  });
});

describe("a store of several ports", () => {
  it("reads those that are wanted, and all where nobody says which", () => {
    using folder = temporaryFolder();
    const live = liveHandles();
    const shape = { sequences: 2, tokens: 1, ports: { a: [1], b: [1], c: [1] } };
    const store = createPortStore(shape, "host", { dtype: "float32", device: "cpu", scratch: folder.path });
    scope(() => {
      const port = (value: number): Tensor => Tensor.full([2, 1], value, {});
      store.write(0, { a: port(1), b: port(2), c: port(3) });
      expect(Object.keys(store.read([0]))).toEqual(["a", "b", "c"]);
      const some = store.read([1], undefined, new Set(["c", "a"]));
      expect(Object.entries(some).map(([name, tensor]) => [name, tensor.item()])).toEqual([
        ["a", 1],
        ["c", 3],
      ]);
    });
    store.dispose();
    expect(liveHandles()).toBe(live);
  });
});
