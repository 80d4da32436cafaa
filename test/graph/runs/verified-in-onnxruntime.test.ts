import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { OnnxTensor } from "../../../src/checkpoint/onnx/schema.js";
import { DATA_TYPES } from "../../../src/checkpoint/onnx/schema.js";
import { temporaryFolder } from "../../../src/checkpoint/testing/temporary-folder.js";
import { toHalfBytes } from "../../../src/format/bits/float-bytes.js";
import type { TestGraph } from "../../../src/network/graph/testing/small-graph.js";
import { library } from "../../fixtures/in-process/library.js";
import { importOnnxRuntime } from "../../format/judge/onnx-runtime.js";
import { smallNetwork, writeSmallNetwork } from "./small-network.js";

const { quantize, verifyResult } = library;
const runtime = await importOnnxRuntime();
const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());

const half = (tensor: OnnxTensor): OnnxTensor => {
  const bytes = tensor.rawData ?? new Uint8Array(0);
  const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  return { shape: tensor.shape ?? [], dataType: DATA_TYPES.float16, rawData: toHalfBytes(values) };
};

const inHalf: TestGraph = {
  ...smallNetwork,
  constants: Object.fromEntries(
    Object.entries(smallNetwork.constants ?? {}).map(([name, tensor]) => [name, half(tensor)]),
  ),
  inputs: { x: { dataType: "float16", shape: ["n", 3, 8, 8] } },
  outputs: { y: "float16" },
};

const title = runtime === null ? " (skipped: onnxruntime-node is not installed)" : "";
describe.skipIf(runtime === null)(`the runtime that verify asks${title}`, () => {
  it.each<readonly [string, TestGraph, number]>([
    ["one image at a time, where the file says so", { ...smallNetwork, inputs: { x: { shape: [1, 3, 8, 8] } } }, 4],
    ["three, and twice, so that it is four at least", { ...smallNetwork, inputs: { x: { shape: [3, 3, 8, 8] } } }, 6],
    ["as many as they are, in fp16", inHalf, 4],
  ])("gets %s", async (name, graph, examples) => {
    const [from, out] = [join(folder.path, name), join(folder.path, `${name}-out`)];
    mkdirSync(from);
    const model = writeSmallNetwork(from, graph);
    for await (const _ of quantize({ model, recipe: "rtn", scheme: "W4A16", out })) {
      // What it says is not looked at here.
    }
    const certified: unknown[] = [];
    for await (const event of verifyResult({ result: out, runtimes: true })) certified.push(event);
    expect(certified).toContainEqual(expect.objectContaining({ event: "certified", agrees: true }));
    const { exports } = JSON.parse(readFileSync(join(out, "certificate.json"), "utf8"));
    expect(exports[0]).toMatchObject({ runtimesAgree: true, runtime: { status: "agrees", examples } });
  });
});
