import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { OnnxContent } from "../../src/checkpoint/onnx/onnx-content.js";
import { temporaryFolder } from "../../src/checkpoint/testing/temporary-folder.js";
import {
  someFloats,
  someNumbers,
  type TestGraph,
  type TestNode,
  writeGraph,
} from "../../src/network/graph/testing/small-graph.js";
import { GraphNetwork, GraphTensors, readGraph } from "../../src/network/index.js";
import type { RecipeName } from "../../src/recipe/job/recipe-names.js";
import { runRecipe } from "../../src/recipe/job/run-recipe.js";
import type { RecipeOptionsInput } from "../../src/recipe/options/recipe-options.js";
import { tinyJob } from "../../src/recipe/testing/tiny-run.js";
import { liveHandles, Tensor } from "../../src/tensor/index.js";
import { testDevice } from "../../src/tensor/testing/test-device.js";

const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());

const conv = (from: string, to: string, group = 1): TestNode => ({
  operator: "Conv",
  inputs: [from, `${to}.weight`],
  outputs: [to],
  attributes: { pads: [1, 1, 1, 1], group },
});
const op = (operator: string, to: string, ...inputs: string[]): TestNode => ({ operator, inputs, outputs: [to] });

/** A stem, a residual block with a depthwise convolution, and a head. */
const graph: TestGraph = {
  nodes: [
    conv("x", "stem"),
    op("Relu", "a", "stem"),
    conv("a", "deep", 8),
    op("Relu", "d", "deep"),
    conv("d", "out"),
    op("Add", "sum", "out", "a"),
    op("Relu", "b", "sum"),
    op("GlobalAveragePool", "pool", "b"),
    op("Flatten", "flat", "pool"),
    op("Gemm", "y", "flat", "head.weight", "head.bias"),
  ],
  constants: {
    "stem.weight": someFloats([8, 2, 3, 3], 1),
    "deep.weight": someFloats([8, 1, 3, 3], 2),
    "out.weight": someFloats([8, 8, 3, 3], 3),
    "head.weight": someFloats([8, 5], 4),
    "head.bias": someFloats([5], 5),
  },
  inputs: { x: { shape: ["n", 2, 6, 6] } },
};

const COUNT = 8;

function run(
  recipe: RecipeName,
  scheme: string,
  options: RecipeOptionsInput,
): { names: string[]; less: number; errors: number[] } {
  const file = join(folder.path, "model.onnx");
  writeGraph(file, graph);
  using content = OnnxContent.open(file);
  const size = 2 * 6 * 6;
  const pixels = Float32Array.from(someNumbers(COUNT * size, 7));
  const examples = {
    count: COUNT,
    read: (indices: readonly number[]): { x: Tensor } => {
      const rows = indices.flatMap((i) => [...pixels.subarray(i * size, (i + 1) * size)]);
      return { x: Tensor.from(Float32Array.from(rows), [indices.length, 2, 6, 6]) };
    },
  };
  const network = GraphNetwork.create(readGraph(content), {}, examples);
  const tokens = { ids: Int32Array.from({ length: COUNT }, (_, i) => i), sequences: COUNT, context: 1 };
  const place = { checkpoint: new GraphTensors(network.cut), network, folder: folder.path };
  const { job, delivered } = tinyJob(
    place,
    recipe,
    scheme,
    { finish: "none", ...options },
    { tokens, device: testDevice },
  );
  const done = [...runRecipe(job)].filter((event) => event.event === "window-done");
  const less = done.filter(({ lossBefore, lossAfter }) => (lossAfter?.total ?? 0) < (lossBefore?.total ?? 0)).length;
  return {
    names: [...delivered.weights.keys()],
    less,
    errors: done.flatMap(({ layers }) => layers.map(({ relativeError }) => relativeError)),
  };
}

describe("an ONNX graph: convolutions and matrices, in units of several shapes", () => {
  const window = { size: 2, overlap: 1, epochs: 6, batch: 4, secondBranch: false };

  it.each<readonly [RecipeName, string, RecipeOptionsInput, number]>([
    ["rtn", "W8A16", {}, 0],
    ["gptq", "W3A16", {}, 0],
    ["cbq", "W3A16", { window, rounding: { start: "gptq" } }, 0],
    ["cbq", "W3A16", { window, rounding: { kind: "adaround" } }, 2],
    ["cbq", "W3A16", { window, rounding: { kind: "code", start: "rtn" } }, 2],
    ["efficient-qat", "W3A16", { blockAp: { epochs: 6, batch: 4 } }, 3],
  ])("is quantized by %s %s %o, and what is trained loses less", (recipe, scheme, options, training) => {
    const live = liveHandles();
    const { names, less, errors } = run(recipe, scheme, options);
    expect(names.sort()).toEqual(["deep", "head", "out", "stem"].sort());
    expect(less).toBeGreaterThanOrEqual(training);
    expect(errors).toHaveLength(names.length);
    for (const error of errors) expect(error).toBeLessThan(scheme === "W8A16" ? 1e-3 : Number.POSITIVE_INFINITY);
    expect(Math.max(...errors)).toBeGreaterThan(0);
    expect(liveHandles()).toBe(live);
  });
});
