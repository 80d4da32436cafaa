import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dtypeCode } from "./dtype.js";
import { type Addon, addon } from "./engine/addon.js";

const cases = Number(process.env["CROSSBLOCK_FUZZ_CASES"] ?? 500);
const seed = Number(process.env["CROSSBLOCK_FUZZ_SEED"] ?? Date.now() % 2 ** 31);

const native = addon();
const float32 = dtypeCode("float32");
const live = native.fromBuffer(new ArrayBuffer(16), 0, [4], float32);
const disposed = native.fromBuffer(new ArrayBuffer(16), 0, [4], float32);
native.release(disposed);
const matmul = native.findOperator("aten::mm", "")?.id ?? 0;

/** Functions whose effect on this process outlives the call: they get wrong types only. */
const lasting: readonly (keyof Addon)[] = [
  ...(["setThreads", "setGradEnabled", "release", "releaseGenerator"] as const),
  ...(["limitMemory", "setDeterministic"] as const),
];

const values: readonly unknown[] = [
  ...[undefined, null, true, "", "aten::mm", "cpu", "cuda:99", Symbol("s"), 10n ** 30n, {}, [], () => null],
  ...[0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 1e300, 2 ** 31, 2 ** 53, -0],
  ...[live, disposed, matmul, [live], [disposed], [live, disposed], [null], [2 ** 40, 2 ** 40], [-1], ["x"]],
  ...[new ArrayBuffer(0), new ArrayBuffer(16), new Uint8Array(3), { size: 4 }, new Date(), new Proxy([], {})],
];

function isTyped(error: unknown): boolean {
  return error instanceof Error && error.message.length > 0 && error.message.length < 5000;
}

describe(`the addon (seed ${seed})`, () => {
  it(`answers ${cases} wrong calls of every function with an error, or a value, and lives`, () => {
    const names = (Object.keys(native) as (keyof Addon)[]).filter((name) => !lasting.includes(name));
    expect(names.length).toBeGreaterThan(15);
    for (const name of names) {
      fc.assert(
        fc.property(fc.array(fc.constantFrom(...values), { maxLength: 6 }), (args) => {
          try {
            Reflect.apply(native[name], undefined, args);
          } catch (error) {
            expect(isTyped(error), String(error)).toBe(true);
          }
        }),
        { numRuns: Math.ceil(cases / 4), seed },
      );
    }
    for (const name of lasting) {
      for (const value of [undefined, "x", {}, null, Symbol("s")]) {
        if (name === "setGradEnabled" && value === undefined) continue;
        try {
          Reflect.apply(native[name], undefined, [value]);
        } catch (error) {
          expect(isTyped(error)).toBe(true);
        }
      }
    }
    native.setGradEnabled(true);
    expect(native.describe(live).shape).toEqual([4]);
  });

  it.each([
    ["describe", [disposed]],
    ["toBuffer", [disposed]],
    ["gradOf", [disposed]],
    ["backward", [[disposed], null]],
    ["callOperator", [matmul, [disposed, live], undefined, false]],
    ["callOperator", [matmul, [live], undefined, false]],
    ["callOperator", [matmul, [live, live, live, live], undefined, false]],
    ["callOperator", [2 ** 30, [], undefined, false]],
    ["fromBuffer", [new ArrayBuffer(16), 0, [5], float32]],
    ["fromBuffer", [new ArrayBuffer(16), 1, [4], float32]],
    ["fromBuffer", [new ArrayBuffer(16), -4, [4], float32]],
    ["fromBuffer", [new ArrayBuffer(16), 0, [2 ** 31, 2 ** 31], float32]],
    ["fromBuffer", [new ArrayBuffer(16), 0, [-1], float32]],
    ["fromBuffer", [new ArrayBuffer(0), 0, [], float32]],
    ["fromBuffer", [new ArrayBuffer(16), 0, [4], 999]],
  ] as const)("%s refuses what would read freed or foreign memory", (name, args) => {
    expect(() => Reflect.apply(native[name], undefined, args as readonly unknown[])).toThrow(Error);
  });

  it("a handle of another worker names nothing here, or a tensor of our own", async () => {
    const worker = new Worker(new URL("../../test/fixtures/handle-worker.mjs", import.meta.url));
    const handle = await new Promise<number>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    native.release(handle);
    worker.postMessage("check");
    const content = await new Promise<number[]>((resolve) => worker.once("message", resolve));
    expect(content).toEqual([0, 0, 0, 0]);
    await worker.terminate();
  });
});
