import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FormatError } from "../../../src/errors.js";
import { modelFile, writeQdq } from "../../../src/format/qdq/write.js";
import {
  floats,
  integers,
  someNumbers,
  type TestGraph,
  type TestNode,
  writeGraph,
} from "../../../src/network/graph/testing/small-graph.js";
import { expectSame, type Given, judged } from "../../graph/against-onnxruntime.js";
import { importOnnxRuntime } from "../judge/onnx-runtime.js";
import { graphResult } from "./graph-result.js";

const runtime = await importOnnxRuntime();
const none = runtime === null ? " (skipped: onnxruntime-node is not installed)" : "";
let scratch = "";
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-opset-"));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const x: Given = { values: Float32Array.from(someNumbers(2 * 3 * 4 * 4)), shape: [2, 3, 4, 4] };

/** Nodes of an old version behind a convolution whose weights 4 bits hold exactly: quantizing it changes nothing. */
function graphOf(opset: number, nodes: readonly TestNode[], constants: TestGraph["constants"] = {}): TestGraph {
  // From -8 to 7 eighths, and -8 in every row, so that the step is an eighth.
  const eighths = Array.from({ length: 27 }, (_, i) => (i % 9 === 0 ? -8 : ((i * 5) % 16) - 8));
  const weight = floats(
    eighths.map((n) => n / 8),
    [3, 3, 3, 1],
  );
  return {
    opset,
    nodes: [
      { operator: "Conv", inputs: ["x", "w.weight"], outputs: ["c"], attributes: { pads: [1, 0, 1, 0] }, name: "w" },
      ...nodes,
    ],
    constants: { "w.weight": weight, ...constants },
    inputs: { x: { shape: ["n", 3, 4, 4] } },
  };
}

const op = (operator: string, attributes: TestNode["attributes"], inputs: readonly string[] = ["c"]): TestNode => ({
  operator,
  inputs,
  attributes: attributes ?? {},
});

type OpsetCase = readonly [name: string, opset: number, nodes: readonly TestNode[], constants: TestGraph["constants"]];

const cases: readonly OpsetCase[] = (
  [
    [
      "BatchNormalization",
      7,
      [op("BatchNormalization", { spatial: 1 }, ["c", "g", "g", "g", "g"])],
      { g: floats([0.5, 1, 2]) },
    ],
    ["Clip", 10, [op("Clip", { min: { float: -0.25 }, max: { float: 0.5 } })]],
    ["Clip of one bound", 10, [op("Clip", { max: { float: 0.5 } })]],
    ["Dropout", 10, [op("Dropout", { ratio: { float: 0.3 } })]],
    ["Pad", 10, [op("Pad", { pads: [0, 0, 1, 0, 0, 0, 0, 2], value: { float: 0.5 } })]],
    ["ReduceMean", 17, [op("ReduceMean", { axes: [2, 3], keepdims: 0 })]],
    [
      "ReduceMax, ReduceMin, ReduceL2",
      12,
      [op("ReduceMax", { axes: [3] }), op("ReduceMin", { axes: [-2] }, ["n1"]), op("ReduceL2", { axes: [1] }, ["n2"])],
    ],
    ["ReduceSum", 12, [op("ReduceSum", { axes: [1, -1], keepdims: 1 })]],
    ["Resize", 10, [op("Resize", { mode: "nearest" }, ["c", "s"])], { s: floats([1, 1, 2, 2]) }],
    [
      "Resize of inputs",
      11,
      [op("Resize", { mode: "linear" }, ["c", "r", "s"])],
      { r: floats([]), s: floats([1, 1, 2, 3]) },
    ],
    ["Slice", 9, [op("Slice", { starts: [1, 0], ends: [3, 9223372036854775000], axes: [2, 3] })]],
    ["Softmax over the last dimension", 12, [op("Softmax", { axis: 3 })]],
    [
      "Softmax over the last dimension of a shape that is computed",
      11,
      [op("Shape", {}), op("Reshape", {}, ["c", "n1"]), op("Softmax", { axis: 3 }, ["n2"])],
    ],
    ["LogSoftmax of a matrix", 11, [op("Flatten", {}), op("LogSoftmax", {}, ["n1"])]],
    ["Split", 12, [{ ...op("Split", { axis: 1, split: [1, 2] }), outputs: ["a", "b"] }, op("Add", {}, ["a", "b"])]],
    ["Split in equal parts", 17, [{ ...op("Split", { axis: 2 }), outputs: ["a", "b"] }, op("Sub", {}, ["a", "b"])]],
    ["Squeeze and Unsqueeze", 12, [op("Unsqueeze", { axes: [1] }), op("Squeeze", { axes: [1] }, ["n1"])]],
    ["Upsample", 9, [op("Upsample", { mode: "nearest" }, ["c", "s"])], { s: floats([1, 1, 2, 3]) }],
    ["Upsample with an attribute", 7, [op("Upsample", { mode: "nearest", scales: { floats: [1, 1, 2, 2] } })]],
    [
      "Reshape and Transpose",
      7,
      [op("Reshape", {}, ["c", "shape"]), op("Transpose", { perm: [0, 2, 1] }, ["n1"])],
      { shape: integers([0, 3, -1]) },
    ],
  ] as readonly (readonly [string, number, readonly TestNode[], TestGraph["constants"]?])[]
).map(([name, opset, nodes, constants]) => [name, opset, nodes, constants]);

describe.skipIf(runtime === null)(`operators of a newer version mean what the old ones did${none}`, () => {
  it.each(cases)("%s of version %i", async (_, opset, nodes, constants) => {
    if (runtime === null) throw new Error("there is no judge");
    const file = join(scratch, "source.onnx");
    writeGraph(file, graphOf(opset, nodes, constants));
    for (const codes of ["int4", "int8"] as const) {
      const out = mkdtempSync(join(scratch, "out-"));
      using result = graphResult(file, { schemeOf: () => ({ bits: 4, group: null, symmetric: true }) });
      const plan = await writeQdq({ ...result, folder: "elsewhere" }, out, { codes });
      expect(plan.opset).toEqual({ from: opset, to: codes === "int4" ? 21 : Math.max(13, opset) });
      const written = join(out, modelFile);
      expectSame((await judged(runtime, written, { x }))["y"], (await judged(runtime, file, { x }))["y"], 1e-6);
    }
  });
});

describe("what has no like in a newer version", () => {
  const written = (
    opset: number,
    nodes: readonly TestNode[],
    codes: "int4" | "int8",
    constants = {},
  ): Promise<unknown> => {
    const file = join(scratch, "refused.onnx");
    writeGraph(file, graphOf(opset, nodes, constants));
    const result = graphResult(file, { schemeOf: () => ({ bits: 4, group: null, symmetric: true }) });
    return writeQdq({ ...result, folder: "elsewhere" }, scratch, { codes }).finally(() => result[Symbol.dispose]());
  };

  it("is refused with its node, and with what does without that version", async () => {
    const gains = { g: floats([0.5, 1, 2]) };
    const group = [op("GroupNormalization", { num_groups: 3 }, ["c", "g", "g"])];
    const refused = written(18, group, "int4", gains);
    await expect(refused).rejects.toThrow(FormatError);
    await expect(refused).rejects.toThrow(
      /node "GroupNormalization:y": its operators of version 18 can't be raised to 21, which integers of 4 bits/,
    );
    await expect(refused).rejects.toThrow(/Next: use --qdq-codes int8/);
    await written(18, group, "int8", gains);
  });

  it("is refused altogether where every version is too new", async () => {
    const softmax = [op("Softmax", { axis: 1 })];
    await expect(written(12, softmax, "int4")).rejects.toThrow(/Softmax over all dimensions from 1 on, of 4/);
    await expect(written(12, softmax, "int8")).rejects.toThrow(
      /can't be raised to 13.*Next: leave layers in floating point.*onnx\.version_converter/,
    );
  });
});
