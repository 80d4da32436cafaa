import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodeMessage } from "../../../src/checkpoint/onnx/encode-message.js";
import { joinedBytes, lengthField, rawFields } from "../../../src/checkpoint/onnx/raw-message.js";
import { GRAPH, MODEL } from "../../../src/checkpoint/onnx/schema.js";
import type { ExportSource } from "../../../src/format/contract/export-source.js";
import type { TensorCheck } from "../../../src/format/contract/tensor-check.js";
import { exporters } from "../../../src/format/exporters.js";
import { modelFile, writeQdq } from "../../../src/format/qdq/write.js";
import {
  graphModel,
  integers,
  someFloats,
  type TestGraph,
  type TestNode,
} from "../../../src/network/graph/testing/small-graph.js";
import { graphResult } from "./graph-result.js";

const norm = (from: string, to: string): TestNode => ({
  operator: "BatchNormalization",
  inputs: [from, "gain", "shift", "mean", "variance"],
  outputs: [to],
});

const graph: TestGraph = {
  opset: 13,
  nodes: [
    { operator: "Constant", inputs: [], outputs: ["head.weight"], attributes: { value: someFloats([6, 5], 4) } },
    { operator: "Conv", inputs: ["x", "stem.weight"], outputs: ["c"], attributes: { pads: [1, 1, 1, 1] } },
    norm("c", "n"),
    { operator: "Relu", inputs: ["n"], outputs: ["a"] },
    { operator: "Conv", inputs: ["a", "deep.weight", "deep.bias"], outputs: ["d"] },
    { operator: "ReduceSum", inputs: ["d", "axes"], outputs: ["pool"], attributes: { keepdims: 0 } },
    { operator: "Gemm", inputs: ["pool", "head.weight", "head.bias"], outputs: ["y"] },
  ],
  constants: {
    "stem.weight": someFloats([4, 2, 3, 3], 1),
    "deep.weight": someFloats([6, 4, 1, 1], 2),
    "deep.bias": someFloats([6], 3),
    "head.bias": someFloats([5], 5),
    gain: someFloats([4], 6),
    shift: someFloats([4], 7),
    mean: someFloats([4], 8),
    variance: { ...someFloats([4], 9), rawData: new Uint8Array(Float32Array.of(0.5, 2, 1, 0.1).buffer) },
    axes: integers([2, 3]),
  },
  inputs: { x: { shape: ["n", 2, 4, 4] } },
};

/** Fields that no schema of ours knows, at every level: text of a number that ONNX does not use. */
const strange = (number: number, text: string): Uint8Array =>
  joinedBytes(lengthField(number, new TextEncoder().encode(text)));

/** The graph's file, with a strange field in the model, in the graph, in every node and in every initializer. */
function writeStrange(file: string): void {
  const bytes = encodeMessage(MODEL, graphModel(graph));
  const inside = (content: Uint8Array, text: string): readonly Uint8Array[] => [content, strange(77, text)];
  const parts = rawFields(bytes, file).flatMap(({ number, bytes: whole, content }) => {
    if (number !== MODEL.graph.number) return [whole];
    const fields = rawFields(content, file).flatMap((field) => {
      if (field.number === GRAPH.nodes.number) return lengthField(field.number, inside(field.content, "of a node"));
      if (field.number === GRAPH.initializers.number)
        return lengthField(field.number, inside(field.content, "of a tensor"));
      return [field.bytes];
    });
    return lengthField(number, [...fields, strange(78, "of the graph")]);
  });
  writeFileSync(file, joinedBytes([...parts, strange(79, "of the model")]));
}

/** All that a check finds. */
export async function verdicts(path: string, result: ExportSource): Promise<readonly TensorCheck[]> {
  using opened = await exporters.qdq.open(path);
  const found: TensorCheck[] = [];
  for await (const check of opened.check(result)) found.push(check);
  return found;
}

/** A file that was written, and what from. */
export interface Made {
  readonly path: string;
  readonly result: ReturnType<typeof graphResult>;
}

/** The strange graph with its stem in 4 bits and its head in 8, asymmetric, with a quantized input. */
export async function writtenStrange(
  scratch: string,
  fold: boolean,
  plain?: ReadonlyMap<string, Uint8Array>,
): Promise<Made & Disposable> {
  const file = join(scratch, `${fold}.onnx`);
  writeStrange(file);
  const result = graphResult(file, {
    fold,
    ...(plain !== undefined && { plain }),
    schemeOf: (module) =>
      module === "deep" ? null : { bits: module === "stem" ? 4 : 8, group: null, symmetric: module !== "head" },
    gridOf: (module) => (module === "head" ? { bits: 8, scale: 0.1, zeroPoint: 100 } : null),
  });
  const out = mkdtempSync(join(scratch, "out-"));
  await writeQdq({ ...result, folder: "elsewhere" }, out, { codes: "int4" });
  return { path: join(out, modelFile), result, [Symbol.dispose]: () => result[Symbol.dispose]() };
}
