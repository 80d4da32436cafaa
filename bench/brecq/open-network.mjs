import { existsSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { OnnxContent } from "../../dist/checkpoint/onnx/onnx-content.js";
import { GraphNetwork, GraphTensors, readGraph } from "../../dist/network/index.js";
import { parseScheme } from "../../dist/quant/scheme.js";
import { recipeOf } from "../../dist/recipe/job/recipe-names.js";
import { resolveRecipeOptions } from "../../dist/recipe/options/resolve-recipe-options.js";
import { foldBatchNorms } from "../../dist/transform/batch-norm/fold-batch-norm.js";
import { rawExamples } from "./raw-examples.mjs";

/**
 * A network with its images, batch norms folded, and jobs of BRECQ on it.
 *
 * @param {{ network?: string, model: string, examples: string, tests: string, symmetric: boolean, device: string }} values
 */
export function openNetwork(values) {
  if (values.network === undefined) throw new TypeError("give --network DIR");
  const folder = resolve(values.network);
  // The process ends with it: constants of the graph view the file.
  const content = OnnxContent.open(join(folder, values.model));
  const { graph, folded } = foldBatchNorms(readGraph(content));
  const [input] = graph.inputs;
  const shape = input.shape.slice(1);
  const images = rawExamples(join(folder, "train.images"), input.name, shape, Number(values.examples));
  const tests = rawExamples(join(folder, "test.images"), input.name, shape, Number(values.tests));
  const network = GraphNetwork.create(graph, {}, images);
  const tokens = { ids: Int32Array.from({ length: images.count }, (_, i) => i), sequences: images.count, context: 1 };
  const shared = {
    ...{ network, tokens, seed: 1, device: values.device, dtype: "float32", gradients: "full", storage: "auto" },
    ...{ checkpoint: new GraphTensors(network.cut), scratch: tmpdir(), resume: null, poll: () => {} },
  };
  const jobOf = (scheme, options, preset = "default") => ({
    ...shared,
    recipe: recipeOf("brecq"),
    scheme: parseScheme(scheme, { asym: !values.symmetric }),
    options: resolveRecipeOptions(options, { recipe: "brecq", preset }),
  });
  const classes = (reference) => reference[0].length / Math.min(50, tests.count);
  const file = join(folder, "test.labels");
  const known = existsSync(file) ? readFileSync(file) : null;
  const wide = known !== null && known.length >= 2 * tests.total;
  const labels = wide ? new Uint16Array(new Uint8Array(known).buffer) : known;
  return { folder, folded, images, tests, jobOf, classes, labels };
}
