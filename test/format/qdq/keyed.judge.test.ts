import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ModelError } from "../../../src/errors.js";
import type { KeyedGrid } from "../../../src/format/contract/input-grid.js";
import { QdqFile } from "../../../src/format/qdq/read.js";
import { modelFile, writeQdq } from "../../../src/format/qdq/write.js";
import { someFloats, someNumbers, type TestGraph, writeGraph } from "../../../src/network/graph/testing/small-graph.js";
import { expectSame, type Given, judged, ours } from "../../graph/against-onnxruntime.js";
import { importOnnxRuntime } from "../judge/onnx-runtime.js";
import { graphResult, simulated } from "./graph-result.js";

const runtime = await importOnnxRuntime();
const none = runtime === null ? " (skipped: onnxruntime-node is not installed)" : "";
let scratch = "";
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-keyed-"));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const graphOf = (steps: "float32" | "int64"): TestGraph => ({
  nodes: [
    { operator: "MatMul", inputs: ["x", "first.weight"], outputs: ["a"] },
    { operator: "Relu", inputs: ["a"], outputs: ["b"] },
    { operator: "Cast", inputs: ["t"], outputs: ["step"], attributes: { to: 1 } },
    { operator: "Reshape", inputs: ["step", "column"], outputs: ["condition"] },
    { operator: "Mul", inputs: ["b", "condition"], outputs: ["c"] },
    { operator: "MatMul", inputs: ["c", "second.weight"], outputs: ["y"] },
  ],
  constants: {
    "first.weight": someFloats([6, 8], 1),
    "second.weight": someFloats([8, 4], 2),
    column: { shape: [2], dataType: 7, rawData: new Uint8Array(BigInt64Array.of(-1n, 1n).buffer) },
  },
  inputs: { x: { shape: ["n", 6] }, t: { dataType: steps, shape: ["n"] } },
});

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
    ["float32", 8, "error"],
    ["int64", 8, "nearest"],
    ["int64", 4, "error"],
    ["float32", 4, "nearest"],
  ] as const)("are looked up by the graph from its own input: %s, %i bits, %s", async (type, bits, unknown) => {
    if (runtime === null) throw new Error("there is no judge");
    const file = join(scratch, "source.onnx");
    writeGraph(file, graphOf(type));
    const grid = keyed(bits, unknown);
    using result = graphResult(file, {
      schemeOf: () => ({ bits: 8, group: null, symmetric: true }),
      gridOf: (module) => (module === "second" ? grid : null),
    });
    const out = mkdtempSync(join(scratch, "out-"));
    await writeQdq({ ...result, folder: "elsewhere" }, out, { codes: "int4" });
    const written = join(out, modelFile);
    using stored = QdqFile.open(written);
    const [, second] = stored.layers.values();
    expect(second?.input).toMatchObject({ value: "c", grid: { bits, input: "t", keys: [1, 40, 500], unknown } });
    const weights = new Map([...stored.layers.keys()].map((module) => [module, stored.readQuantized(module)] as const));
    const exact = { extra: { session: { qdq_matmulnbits_accuracy_level: "1" } } };
    const check = async (step: number, key: number): Promise<void> => {
      const inputs = { x, t: at(type, step, step) };
      const place = keys.indexOf(key);
      const constant = { bits, scale: grid.scales[place] ?? 0, zeroPoint: grid.zeroPoints[place] ?? 0 };
      const wanted = simulated({ ...result, inputGrids: new Map([["second", constant]]) }, weights, inputs)["y"];
      expectSame(ours(written, inputs)["y"], wanted, 1e-5);
      expectSame((await judged(runtime, written, inputs, exact))["y"], wanted, 1e-5);
    };
    for (const key of keys) await check(key, key);
    const strange = { x, t: at(type, 30, 30) };
    const mixed = { x, t: at(type, 1, 40) };
    if (unknown === "nearest") {
      await check(30, 40);
      await check(1000, 500);
    } else {
      await expect(judged(runtime, written, strange)).rejects.toThrow(/Gather/);
      expect(() => ours(written, strange)).toThrow(ModelError);
    }
    await expect(judged(runtime, written, mixed)).rejects.toThrow(/Gather/);
    expect(() => ours(written, mixed)).toThrow(ModelError);
  });
});
