import { join } from "node:path";
import { OnnxContent } from "../../src/checkpoint/onnx/onnx-content.js";
import {
  someFloats,
  someNumbers,
  type TestGraph,
  type TestNode,
  writeGraph,
} from "../../src/network/graph/testing/small-graph.js";
import { GraphNetwork, GraphTensors, readGraph } from "../../src/network/index.js";
import type { RecipeEvent, RecipeJob } from "../../src/recipe/job/recipe-job.js";
import type { RecipeName } from "../../src/recipe/job/recipe-names.js";
import { runRecipe } from "../../src/recipe/job/run-recipe.js";
import type { RecipeOptionsInput } from "../../src/recipe/options/recipe-options.js";
import { type Delivered, tinyJob } from "../../src/recipe/testing/tiny-run.js";
import { Tensor } from "../../src/tensor/index.js";
import { testDevice } from "../../src/tensor/testing/test-device.js";

export const conv = (from: string, to: string, group = 1): TestNode => ({
  operator: "Conv",
  inputs: [from, `${to}.weight`],
  outputs: [to],
  attributes: { pads: [1, 1, 1, 1], group },
});
export const op = (operator: string, to: string, ...inputs: string[]): TestNode => ({
  operator,
  inputs,
  outputs: [to],
});

/** A stem, a residual block with a depthwise convolution, and a head. */
export const smallNetwork: TestGraph = {
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

/** Examples of two channels of 6 x 6, made of numbers that look random. */
export function smallExamples(count: number): {
  readonly count: number;
  read(indices: readonly number[]): { x: Tensor };
} {
  const size = 2 * 6 * 6;
  const pixels = Float32Array.from(someNumbers(count * size, 7));
  return {
    count,
    read: (indices) => {
      const rows = indices.flatMap((i) => [...pixels.subarray(i * size, (i + 1) * size)]);
      return { x: Tensor.from(Float32Array.from(rows), [indices.length, 2, 6, 6]) };
    },
  };
}

/** Runs a recipe on a graph, written into a folder. */
export function runOnGraph(
  folder: string,
  graph: TestGraph,
  recipe: RecipeName,
  scheme: string,
  options: RecipeOptionsInput,
  more: Partial<RecipeJob> & { readonly count?: number } = {},
): { readonly delivered: Delivered; readonly events: readonly RecipeEvent[] } {
  const file = join(folder, "model.onnx");
  writeGraph(file, graph);
  using content = OnnxContent.open(file);
  const { count = 8, ...rest } = more;
  const network = GraphNetwork.create(readGraph(content), {}, smallExamples(count));
  const tokens = { ids: Int32Array.from({ length: count }, (_, i) => i), sequences: count, context: 1 };
  const place = { checkpoint: new GraphTensors(network.cut), network, folder };
  const { job, delivered } = tinyJob(
    place,
    recipe,
    scheme,
    { finish: "none", ...options },
    { tokens, device: testDevice, ...rest },
  );
  return { delivered, events: [...runRecipe(job)] };
}
