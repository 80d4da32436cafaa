import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ModelError } from "../../../src/errors.js";
import { QdqFile } from "../../../src/format/qdq/read.js";
import { modelFile, writeQdq } from "../../../src/format/qdq/write.js";
import { someNumbers, writeGraph } from "../../../src/network/graph/testing/small-graph.js";
import type { KeyedGrid } from "../../../src/quant/input/keyed-grid.js";
import { expectSame, type Given, judged, type Output, ours } from "../../graph/against-onnxruntime.js";
import { importOnnxRuntime } from "../judge/onnx-runtime.js";
import { graphResult, simulated } from "./graph-result.js";
import { keyedGraph } from "./keyed-graph.js";

const runtime = await importOnnxRuntime();
const none = runtime === null ? " (skipped: onnxruntime-node is not installed)" : "";
let scratch = "";
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-keyed-"));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const x: Given = { values: Float32Array.from(someNumbers(12)), shape: [2, 6] };
const keys = [500, 1, 40];

function keyed(bits: number, unknown: KeyedGrid["unknown"]): KeyedGrid {
  const top = 2 ** bits - 1;
  return { bits, input: "t", keys, scales: keys.map((key) => (1.5 * key) / top), zeroPoints: [0, 1, 2], unknown };
}

describe.skipIf(runtime === null)(`ranges by time step${none}`, () => {
  const at = (type: "float32" | "int64", ...steps: readonly number[]): Given => ({
    values: type === "float32" ? Float32Array.from(steps) : BigInt64Array.from(steps, BigInt),
    shape: [steps.length],
  });

  it.each([
    ["float32", 8, "error", 6],
    ["int64", 8, "nearest", 6],
    ["int64", 4, "error", 6],
    ["float32", 4, "nearest", 6],
    ["float32", 8, "error", "w"],
    ["int64", 4, "nearest", "w"],
  ] as const)(
    "are looked up by the graph from its own input: %s, %i bits, %s, of %s",
    async (type, bits, unknown, width) => {
      if (runtime === null) throw new Error("there is no judge");
      const file = join(scratch, "source.onnx");
      writeGraph(file, keyedGraph(type, width));
      const grid = keyed(bits, unknown);
      using result = graphResult(file, {
        schemeOf: () => ({ bits: 8, group: null, symmetric: true }),
        gridOf: (module) => (module === "second" ? grid : null),
        given: { x: [6], t: [] },
      });
      const out = mkdtempSync(join(scratch, "out-"));
      await writeQdq({ ...result, folder: "elsewhere" }, out, { codes: "int4" });
      const written = join(out, modelFile);
      using stored = QdqFile.open(written);
      const [, second] = stored.layers.values();
      expect(second?.input).toMatchObject({ value: "c", grid: { bits, input: "t", keys: [1, 40, 500], unknown } });
      const weights = new Map(
        [...stored.layers.keys()].map((module) => [module, stored.readQuantized(module)] as const),
      );
      const exact = { extra: { session: { qdq_matmulnbits_accuracy_level: "1" } } };
      /** What a step gives that has the grid of a key. */
      const wantedAt = (step: number, key: number): Output => {
        const place = keys.indexOf(key);
        const constant = { bits, scale: grid.scales[place] ?? 0, zeroPoint: grid.zeroPoints[place] ?? 0 };
        const found = simulated({ ...result, inputGrids: new Map([["second", constant]]) }, weights, {
          x,
          t: at(type, step, step),
        })["y"];
        return found ?? { shape: [], values: new Float64Array(0) };
      };
      const check = async (t: Given, wanted: Output): Promise<void> => {
        expectSame(ours(written, { x, t })["y"], wanted, 1e-5);
        expectSame((await judged(runtime, written, { x, t }, exact))["y"], wanted, 1e-5);
      };
      const refused = async (t: Given): Promise<void> => {
        await expect(judged(runtime, written, { x, t })).rejects.toThrow(/Gather/);
        expect(() => ours(written, { x, t })).toThrow(ModelError);
      };
      for (const key of keys) await check(at(type, key, key), wantedAt(key, key));
      // One step for all examples.
      await check(at(type, 40), wantedAt(40, 40));
      if (unknown === "nearest") {
        await check(at(type, 30, 30), wantedAt(30, 40));
        await check(at(type, 1000, 1000), wantedAt(1000, 500));
      } else await refused(at(type, 30, 30));
      const mixed = at(type, 500, 1);
      if (width === "w") return refused(mixed);
      const [early, late] = [wantedAt(500, 500), wantedAt(1, 1)];
      const half = early.values.length / 2;
      const values = Float64Array.of(...early.values.slice(0, half), ...late.values.slice(half));
      await check(mixed, { shape: early.shape, values });
    },
  );
});
