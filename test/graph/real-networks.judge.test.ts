import { describe, expect, it } from "vitest";
import { OnnxContent } from "../../src/checkpoint/onnx/onnx-content.js";
import { throughUnits } from "../../src/network/graph/testing/through-units.js";
import { GraphNetwork, readGraph } from "../../src/network/index.js";
import { noGrad, scope, Tensor } from "../../src/tensor/index.js";
import { foldBatchNorms } from "../../src/transform/batch-norm/fold-batch-norm.js";
import { importOnnxRuntime } from "../format/judge/onnx-runtime.js";
import { expectSame, type Given, judged, type Output, ours } from "./against-onnxruntime.js";
import { images, networkPath, whyUnjudged } from "./real-networks.js";

const runtime = await importOnnxRuntime();

const networks: readonly {
  readonly file: string;
  readonly inputs: Readonly<Record<string, Given>>;
  readonly units: Readonly<Record<string, number>>;
}[] = [
  {
    file: "efficientnet-lite0/model.onnx",
    inputs: { image: images([2, 3, 224, 224], 1) },
    units: { layer: 23, residual: 9 },
  },
  { file: "cifar10-cnn/model.onnx", inputs: { image: images([3, 3, 32, 32], 127, 128) }, units: { layer: 9 } },
  {
    file: "open-nsfw/open-nsfw.onnx",
    inputs: { "input:0": images([2, 224, 224, 3], 120) },
    units: { layer: 2, residual: 16 },
  },
  {
    file: "terrain-unet/model.onnx",
    inputs: {
      noisy: images([2, 1, 128, 128], 40),
      sigma: { values: Float32Array.of(40, 0.7), shape: [2] },
      difficulty: { values: Float32Array.of(0.2, 0.9), shape: [2] },
    },
    units: { condition: 1, layer: 2, residual: 55, attention: 28 },
  },
];

/** The same through the units that the network is cut into, its batch norms folded. */
function unitByUnit(
  path: string,
  inputs: Readonly<Record<string, Given>>,
): { readonly network: GraphNetwork; readonly outputs: Readonly<Record<string, Output>> } {
  using content = OnnxContent.open(path);
  const { graph } = foldBatchNorms(readGraph(content));
  const network = GraphNetwork.create(graph);
  const outputs = noGrad(() =>
    scope(() => {
      const ports = Object.entries(inputs).map(
        ([name, { values, shape }]) => [name, Tensor.from(values, shape)] as const,
      );
      const last = throughUnits(network, Object.fromEntries(ports));
      return Object.entries(last).map(
        ([name, tensor]) =>
          [name, { shape: tensor.shape, values: Float64Array.from(tensor.toFloat32Array()) }] as const,
      );
    }),
  );
  return { network, outputs: Object.fromEntries(outputs) };
}

/** How many units there are of each kind. */
function kinds({ cut }: GraphNetwork): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { kind } of cut.units) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

describe("real networks give what onnxruntime gives", () => {
  for (const { file, inputs, units } of networks) {
    const path = networkPath(file);
    const reason = whyUnjudged(runtime, file);
    it.skipIf(reason !== null)(`${file}${reason === null ? "" : ` (skipped: ${reason})`}`, async () => {
      if (runtime === null) throw new Error("there is no judge");
      const wanted = await judged(runtime, path, inputs);
      const actual = ours(path, inputs);
      expect(Object.keys(actual)).toEqual(Object.keys(wanted));
      for (const name of Object.keys(wanted)) expectSame(actual[name], wanted[name]);
      const inUnits = unitByUnit(path, inputs);
      expect(kinds(inUnits.network)).toEqual(units);
      for (const name of Object.keys(wanted)) expectSame(inUnits.outputs[name], wanted[name]);
    });
  }
});
