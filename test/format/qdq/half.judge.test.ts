import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OnnxContent } from "../../../src/checkpoint/onnx/onnx-content.js";
import { DATA_TYPES, type OnnxTensor } from "../../../src/checkpoint/onnx/schema.js";
import { toHalfBytes } from "../../../src/format/bits/float-bytes.js";
import { QdqFile } from "../../../src/format/qdq/read.js";
import { modelFile, writeQdq } from "../../../src/format/qdq/write.js";
import { someNumbers, type TestGraph, writeGraph } from "../../../src/network/graph/testing/small-graph.js";
import { expectSame, type Given, judged, ours } from "../../graph/against-onnxruntime.js";
import { importOnnxRuntime } from "../judge/onnx-runtime.js";
import { graphResult, simulated } from "./graph-result.js";

const runtime = await importOnnxRuntime();
const none = runtime === null ? " (skipped: onnxruntime-node is not installed)" : "";
let scratch = "";
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-half-"));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function half(shape: readonly number[], seed: number): OnnxTensor {
  const count = shape.reduce((product, size) => product * size, 1);
  return { shape, dataType: DATA_TYPES.float16, rawData: toHalfBytes(Float32Array.from(someNumbers(count, seed))) };
}

const graph: TestGraph = {
  nodes: [
    { operator: "Cast", inputs: ["x"], attributes: { to: DATA_TYPES.float16 } },
    { operator: "Conv", inputs: ["n0", "w.weight", "w.bias"], attributes: { pads: [1, 1, 1, 1] } },
    { operator: "Relu", inputs: ["n1"] },
    { operator: "Conv", inputs: ["n2", "v.weight"] },
    { operator: "Cast", inputs: ["n3"], attributes: { to: DATA_TYPES.float32 } },
  ],
  constants: { "w.weight": half([4, 3, 3, 3], 2), "w.bias": half([4], 3), "v.weight": half([2, 4, 1, 1], 5) },
  inputs: { x: { shape: ["n", 3, 6, 6] } },
};

const x: Given = { values: Float32Array.from(someNumbers(2 * 3 * 6 * 6)), shape: [2, 3, 6, 6] };

describe.skipIf(runtime === null)(`a graph in fp16${none}`, () => {
  it.each([
    [8, null, "int4"],
    [4, 8, "int4"],
    [4, 4, "int8"],
  ] as const)("goes through fp32 at its integers: W%i, inputs of %s bits, %s", async (bits, input, codes) => {
    if (runtime === null) throw new Error("there is no judge");
    const file = join(scratch, "half.onnx");
    writeGraph(file, graph);
    const bias = new Uint8Array(Float32Array.of(0.5, -1, 0.25, 2).buffer);
    using result = graphResult(file, {
      schemeOf: () => ({ bits, group: null, symmetric: false }),
      gridOf: (module) =>
        input === null || module === "w" ? null : { bits: input, scale: 4 / (2 ** input - 1), zeroPoint: 1 },
      plain: new Map([["w.bias", bias]]),
    });
    const out = mkdtempSync(join(scratch, "out-"));
    await writeQdq({ ...result, folder: "elsewhere" }, out, { codes });
    const written = join(out, modelFile);
    using stored = QdqFile.open(written);
    using content = OnnxContent.open(written);
    expect(content.tensors.get("w.bias")?.dataType).toBe("float16");
    expect([...content.readBytes("w.bias")]).toEqual([...toHalfBytes(Float32Array.of(0.5, -1, 0.25, 2))]);
    expect(stored.layers.get("v")?.input?.value).toBe(input === null ? undefined : "n2");
    const theirs = (await judged(runtime, written, { x }))["y"];
    // crossblock computes in fp32 what the network computes in fp16: a code may be its neighbour.
    expectSame(ours(written, { x })["y"], theirs, input === 4 ? 0.15 : 2e-2);
    const weights = new Map([...stored.layers.keys()].map((module) => [module, stored.readQuantized(module)] as const));
    expect(weights.size).toBe(2);
    expect(simulated(result, weights, { x })["y"]?.shape).toEqual(theirs?.shape);
  });
});
