import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { InputGrid } from "../../../src/format/contract/input-grid.js";
import type { SmallCodes } from "../../../src/format/qdq/layer-form.js";
import { QdqFile } from "../../../src/format/qdq/read.js";
import { modelFile, writeQdq } from "../../../src/format/qdq/write.js";
import {
  floats,
  someFloats,
  someNumbers,
  type TestGraph,
  writeGraph,
} from "../../../src/network/graph/testing/small-graph.js";
import type { QuantizedWeight } from "../../../src/quant/quantized-weight.js";
import { expectSame, type Given, judged, ours } from "../../graph/against-onnxruntime.js";
import { importOnnxRuntime } from "../judge/onnx-runtime.js";
import { graphResult, simulated } from "./graph-result.js";

const runtime = await importOnnxRuntime();
const none = runtime === null ? " (skipped: onnxruntime-node is not installed)" : "";
let scratch = "";
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "crossblock-qdq-"));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** A graph of one layer, with one input `x`. */
interface Layer {
  readonly graph: TestGraph;
  readonly shape: readonly number[];
}

function layer(
  operator: string,
  weight: readonly number[],
  shape: readonly number[],
  attributes: Readonly<Record<string, number | readonly number[]>> = {},
  bias = 0,
): Layer {
  const constants = { "layer.weight": someFloats(weight, 2), ...(bias > 0 && { "layer.bias": someFloats([bias], 3) }) };
  const inputs = ["x", ...Object.keys(constants)];
  return {
    graph: {
      nodes: [{ operator, inputs, attributes, name: "layer" }],
      constants,
      inputs: { x: { shape: ["n", ...shape.slice(1)] } },
    },
    shape,
  };
}

const layers: Readonly<Record<string, Layer>> = {
  Conv: layer("Conv", [8, 16, 3, 3], [2, 16, 6, 6], { pads: [1, 1, 1, 1], strides: [2, 1] }, 8),
  "Conv 1 x 1": layer("Conv", [8, 32, 1, 1], [2, 32, 4, 4]),
  "Conv of groups": layer("Conv", [8, 16, 3, 3], [2, 32, 6, 6], { group: 2 }, 8),
  "Conv of channels": layer("Conv", [16, 1, 4, 4], [1, 16, 6, 6], { group: 16 }, 16),
  "Conv of one dimension": layer("Conv", [8, 16, 3], [2, 16, 9], { dilations: [2] }),
  ConvTranspose: layer("ConvTranspose", [16, 8, 4, 4], [2, 16, 5, 5], { strides: [2, 2], pads: [1, 1, 1, 1] }, 8),
  "ConvTranspose of groups": layer("ConvTranspose", [16, 3, 4, 4], [2, 16, 5, 5], { group: 2, strides: [2, 2] }, 6),
  "ConvTranspose of channels": layer("ConvTranspose", [16, 1, 4, 4], [2, 16, 5, 5], { group: 16, strides: [2, 2] }, 16),
  Gemm: layer("Gemm", [32, 10], [3, 32], {}, 10),
  "Gemm of rows": layer("Gemm", [10, 32], [3, 32], { transB: 1 }, 10),
  MatMul: layer("MatMul", [32, 10], [2, 3, 32]),
  "Conv with a copy of a bias": {
    graph: {
      nodes: [
        { operator: "Identity", inputs: ["b"], outputs: ["copy"] },
        { operator: "Conv", inputs: ["x", "layer.weight", "copy"], name: "layer", outputs: ["c"] },
        { operator: "Mul", inputs: ["c", "b"] },
      ],
      constants: { "layer.weight": someFloats([8, 16, 3, 3], 2), b: someFloats([8], 3) },
      inputs: { x: { shape: ["n", 16, 10, 10] } },
    },
    shape: [2, 16, 10, 10],
  },
  "MatMul of a matrix behind a Transpose": {
    graph: {
      nodes: [
        { operator: "Transpose", inputs: ["w"], outputs: ["turned"], attributes: { perm: [1, 0] } },
        { operator: "MatMul", inputs: ["x", "turned"], name: "layer" },
      ],
      constants: { w: someFloats([10, 32], 2) },
      inputs: { x: { shape: ["n", 3, 32] } },
    },
    shape: [2, 3, 32],
  },
};

/** By default onnxruntime rounds inputs of products with stored matrices to 8 bits where they are in floating point. */
const exact = { extra: { session: { qdq_matmulnbits_accuracy_level: "1" } } };

interface Case {
  readonly bits: number;
  readonly group: number | null;
  readonly symmetric: boolean;
  readonly input: InputGrid | null;
  readonly codes?: SmallCodes;
}

const grid = (bits: number): InputGrid => ({
  bits,
  scale: 2.2 / (2 ** bits - 1),
  zeroPoint: Math.round((2 ** bits - 1) * 0.45),
});

const cases: readonly Case[] = [
  ...[null, grid(8), grid(4)].flatMap((input) =>
    [8, 4].flatMap((bits) => [true, false].map((symmetric) => ({ bits, group: null, symmetric, input }))),
  ),
  { bits: 2, group: null, symmetric: true, input: null },
  { bits: 3, group: null, symmetric: false, input: grid(8) },
  { bits: 6, group: null, symmetric: false, input: null },
  { bits: 4, group: 16, symmetric: true, input: null },
  { bits: 4, group: 16, symmetric: false, input: grid(8) },
  { bits: 8, group: 16, symmetric: false, input: null },
  { bits: 4, group: null, symmetric: true, input: grid(4), codes: "int8" },
  { bits: 4, group: null, symmetric: false, input: grid(8), codes: "int8" },
  { bits: 4, group: 16, symmetric: false, input: grid(8), codes: "int8" },
];

function nameOf({ bits, group, symmetric, input, codes }: Case): string {
  return `W${bits}A${input?.bits ?? 16}${group === null ? "" : `g${group}`}${symmetric ? "" : " asym"}${codes === undefined ? "" : ` in ${codes}`}`;
}

describe.skipIf(runtime === null)(`onnxruntime runs what is written${none}`, () => {
  for (const [name, { graph, shape }] of Object.entries(layers)) {
    it.each(cases.map((each) => [nameOf(each), each] as const))(
      `${name}, %s`,
      async (_, { bits, group, symmetric, input, codes = "int4" }) => {
        if (runtime === null) throw new Error("there is no judge");
        const file = join(scratch, "source.onnx");
        writeGraph(file, graph);
        const out = mkdtempSync(join(scratch, "out-"));
        using result = graphResult(file, { schemeOf: () => ({ bits, group, symmetric }), gridOf: () => input });
        expect(result.linears.size).toBe(1);
        await writeQdq({ ...result, folder: scratch }, out, { codes });
        const written = join(out, modelFile);
        const count = shape.reduce((product, size) => product * size, 1);
        const x: Given = { values: Float32Array.from(someNumbers(count, 5)), shape };
        using stored = QdqFile.open(written);
        const weights = new Map<string, QuantizedWeight>(
          [...stored.layers.keys()].map((module) => [module, stored.readQuantized(module)]),
        );
        const wanted = (await judged(runtime, written, { x }, exact))["y"];
        expectSame(ours(written, { x })["y"], wanted, 1e-5);
        expectSame(simulated(result, weights, { x })["y"], wanted, 1e-5);
        expectSame((await judged(runtime, written, { x }))["y"], wanted, 5e-2);
        expect(weights.get("layer")).toEqual(await result.readQuantized("layer"));
      },
    );
  }
});

describe.skipIf(runtime === null)(
  `onnxruntime loads quantized inputs behind a Clip and around a MaxPool${none}`,
  () => {
    const graph: TestGraph = {
      nodes: [
        { operator: "Conv", inputs: ["x", "a.weight"], outputs: ["a"] },
        { operator: "Clip", inputs: ["a", "low", "high"], outputs: ["b"] },
        { operator: "MaxPool", inputs: ["b"], outputs: ["c"], attributes: { kernel_shape: [2, 2] } },
        { operator: "Conv", inputs: ["c", "d.weight"], outputs: ["d"] },
        { operator: "Relu", inputs: ["d"], outputs: ["e"] },
        { operator: "Conv", inputs: ["e", "f.weight"], outputs: ["y"] },
      ],
      constants: {
        ...{ "a.weight": someFloats([4, 2, 3, 3], 1), "d.weight": someFloats([4, 4, 2, 2], 2) },
        ...{ "f.weight": someFloats([3, 4, 1, 1], 3), low: floats([0], []), high: floats([2], []) },
      },
      inputs: { x: { shape: ["n", 2, 8, 8] } },
    };

    it.each([
      [4, 4, "int4"],
      [4, 4, "int8"],
      [8, 8, "int4"],
      [4, 8, "int8"],
    ] as const)("W%iA%i in %s", async (bits, input, codes) => {
      if (runtime === null) throw new Error("there is no judge");
      const file = join(scratch, "chain.onnx");
      writeGraph(file, graph);
      const out = mkdtempSync(join(scratch, "out-"));
      const top = 2 ** input - 1;
      using result = graphResult(file, {
        schemeOf: () => ({ bits, group: null, symmetric: false }),
        gridOf: () => ({ bits: input, scale: 3 / top, zeroPoint: Math.round(top / 3) }),
      });
      await writeQdq({ ...result, folder: scratch }, out, { codes });
      const written = join(out, modelFile);
      const x: Given = { values: Float32Array.from(someNumbers(2 * 2 * 64, 5)), shape: [2, 2, 8, 8] };
      using stored = QdqFile.open(written);
      expect([...stored.layers.values()].map(({ input: found }) => [found?.value, found?.grid.bits])).toEqual([
        ["x", input],
        ["c", input],
        ["e", input],
      ]);
      const weights = new Map(
        [...stored.layers.keys()].map((module) => [module, stored.readQuantized(module)] as const),
      );
      const theirs = (await judged(runtime, written, { x }))["y"];
      expectSame(ours(written, { x })["y"], simulated(result, weights, { x })["y"], 1e-5);
      // A sum that lies between two codes of the next input may be rounded to either.
      expectSame(theirs, ours(written, { x })["y"], input === 8 ? 0.03 : 0.3);
    });
  },
);
