import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeMessage } from "../../src/checkpoint/onnx/encode-message.js";
import { DATA_TYPES, EXTERNAL, MODEL, type OnnxTensor } from "../../src/checkpoint/onnx/schema.js";
import { toHalfBytes } from "../../src/format/bits/float-bytes.js";
import {
  graphModel,
  someFloats,
  someNumbers,
  type TestGraph,
  writeGraph,
} from "../../src/network/graph/testing/small-graph.js";
import { importOnnxRuntime } from "../format/judge/onnx-runtime.js";
import { expectSame, type Given, judged, ours } from "./against-onnxruntime.js";

const runtime = await importOnnxRuntime();
const none = runtime === null ? " (skipped: onnxruntime-node is not installed)" : "";
let scratch = "";
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-stored-"));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const x: Given = { values: Float32Array.from(someNumbers(2 * 3 * 6 * 6)), shape: [2, 3, 6, 6] };
const inputs = { x: { shape: ["n", 3, 6, 6] } };

describe.skipIf(runtime === null)(`weights as files store them${none}`, () => {
  it("are fp16 where the network is", async () => {
    const half = (shape: readonly number[], seed: number): OnnxTensor => {
      const values = Float32Array.from(
        someNumbers(
          shape.reduce((product, size) => product * size, 1),
          seed,
        ),
      );
      return { shape, dataType: DATA_TYPES.float16, rawData: toHalfBytes(values) };
    };
    const graph: TestGraph = {
      nodes: [
        { operator: "Cast", inputs: ["x"], attributes: { to: DATA_TYPES.float16 } },
        { operator: "Conv", inputs: ["n0", "w", "b"], attributes: { pads: [1, 1, 1, 1] } },
        { operator: "Relu", inputs: ["n1"] },
        { operator: "Cast", inputs: ["n2"], attributes: { to: DATA_TYPES.float32 } },
      ],
      constants: { w: half([4, 3, 3, 3], 2), b: half([4], 3) },
      inputs,
    };
    const file = join(scratch, "half.onnx");
    writeGraph(file, graph);
    if (runtime === null) throw new Error("there is no judge");
    // crossblock computes in fp32 what the network computes in fp16.
    expectSame(ours(file, { x })["y"], (await judged(runtime, file, { x }))["y"], 5e-3);
  });

  it("may lie in a data file", async () => {
    const weight = someFloats([4, 3, 3, 3], 2);
    const bytes = weight.rawData ?? new Uint8Array(0);
    writeFileSync(join(scratch, "outside.onnx_data"), Buffer.concat([Buffer.alloc(64, 7), bytes]));
    const place = { location: "outside.onnx_data", offset: "64", length: String(bytes.length) };
    const stored: OnnxTensor = {
      shape: [4, 3, 3, 3],
      dataType: DATA_TYPES.float32,
      dataLocation: EXTERNAL,
      externalData: Object.entries(place).map(([key, value]) => ({ key, value })),
    };
    const graph: TestGraph = { nodes: [{ operator: "Conv", inputs: ["x", "w"] }], constants: { w: stored }, inputs };
    const file = join(scratch, "outside.onnx");
    writeFileSync(file, encodeMessage(MODEL, graphModel(graph)));
    if (runtime === null) throw new Error("there is no judge");
    const [actual, wanted] = [ours(file, { x })["y"], (await judged(runtime, file, { x }))["y"]];
    expectSame(actual, wanted);
    expect(actual?.shape).toEqual([2, 4, 4, 4]);
  });
});
